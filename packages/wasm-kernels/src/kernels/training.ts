import * as tf from '@tensorflow/tfjs-core';
import { defineKernel } from '../kernel';

// What happens to every parameter once a step. A network has a hundred small tensors, each of which would go through a dozen kernels.

function checked(kernel: string, inputs: Readonly<Record<string, tf.TensorInfo>>): number {
  const [first, ...others] = Object.entries(inputs);
  for (const [name, { dtype, shape }] of [first!, ...others]) {
    if (dtype !== 'float32') throw new Error(`${kernel}: ${name} is ${dtype}, expected float32`);
    if (!tf.util.arraysEqual(shape, first![1].shape)) {
      throw new Error(`${kernel}: ${name} has shape [${shape}], expected [${first![1].shape}]`);
    }
  }
  return tf.util.sizeFromShape(first![1].shape);
}

interface AdamStep {
  readonly beta1: number;
  readonly beta2: number;
  readonly factor: number;
  readonly epsilon: number;
  readonly keep: number;
  readonly adaptive: boolean;
}

/**
 * One step of Adam and its kin: m′ = β₁m + (1 − β₁)g, v′ = β₂v + (1 − β₂)g², p′ = keep·p − factor·d with d = m′/(√v′ + ε), or m′
 * where the step is not adaptive. Gives [p′, m′, v′].
 */
const adamUpdate = defineKernel<'p' | 'g' | 'm' | 'v', AdamStep>('AdamUpdate', ({ inputs, attrs, module }) => {
  const size = checked('AdamUpdate', inputs);
  const { p, g, m, v } = inputs;
  const outputs = [0, 1, 2].map(() => module.output(p.shape, 'float32'));
  const { beta1, beta2, factor, epsilon, keep, adaptive } = attrs;
  const at = [p, g, m, v, ...outputs].map((tensor) => module.offset(tensor));
  const betas = [beta1, 1 - beta1, beta2, 1 - beta2];
  module.native.adam_update(...at, size, ...betas, factor, epsilon, keep, adaptive ? 1 : 0);
  return outputs;
});

/** α·a + β·b */
const linearCombination = defineKernel<'a' | 'b', { alpha: number; beta: number }>(
  'LinearCombination',
  ({ inputs, attrs: { alpha, beta }, module }) => {
    const size = checked('LinearCombination', inputs);
    const y = module.output(inputs.a.shape, 'float32');
    const at = [inputs.a, inputs.b, y].map((tensor) => module.offset(tensor));
    module.native.clipped_sum(...at, size, alpha, beta, Number.POSITIVE_INFINITY);
    return y;
  },
);

interface UnitMagnitude {
  /** The axis along which the outputs lie, the first or the last; the others are summed over. */
  readonly outputs: 'first' | 'last';
  readonly epsilon: number;
  readonly scale: number;
}

/** [rows, columns] of w as a matrix, its last axis (outputs last) or all but its first (outputs first) being the columns. */
function matrixOf({ shape }: tf.TensorInfo, outputs: UnitMagnitude['outputs']): [number, number] {
  const size = tf.util.sizeFromShape(shape);
  const rows = outputs === 'first' ? shape[0]! : size / shape[shape.length - 1]!;
  return [rows, size / rows];
}

/** scale·w/(ε + |w|/√n), |w| being each output's norm and n its number of weights. */
const unitMagnitude = defineKernel<'w', UnitMagnitude>(
  'UnitMagnitude',
  ({ inputs, inputs: { w }, attrs: { outputs, epsilon, scale }, module }) => {
    checked('UnitMagnitude', inputs);
    const [rows, columns] = matrixOf(w, outputs);
    const y = module.output(w.shape, 'float32');
    if (outputs === 'first') {
      module.native.pixel_norm(module.offset(w), module.offset(y), rows, columns, epsilon, scale);
    } else {
      module.withScratch(4 * columns, (scratch) =>
        module.native.unit_columns(module.offset(w), module.offset(y), rows, columns, epsilon, scale, scratch),
      );
    }
    return y;
  },
);

/** The gradients of `UnitMagnitude`: [dw, dscale], dscale a scalar. */
const unitMagnitudeGrad = defineKernel<'w' | 'dy', UnitMagnitude>(
  'UnitMagnitudeGrad',
  ({ inputs, inputs: { w, dy }, attrs: { outputs, epsilon, scale }, module }) => {
    checked('UnitMagnitudeGrad', inputs);
    const [rows, columns] = matrixOf(w, outputs);
    const dw = module.output(w.shape, 'float32');
    const dscale = module.output([], 'float32');
    const sum = module.withScratch(8 * columns, (scratch) => {
      const at = [w, dy, dw].map((tensor) => module.offset(tensor));
      return outputs === 'first'
        ? module.native.pixel_norm_grad(...at, rows, columns, epsilon, scale)
        : module.native.unit_columns_grad(...at, rows, columns, epsilon, scale, scratch);
    });
    module.backend.typedArrayFromHeap(dscale)[0] = sum;
    return [dw, dscale];
  },
);

/** All of them. */
export const training = [adamUpdate, linearCombination, unitMagnitude, unitMagnitudeGrad];
