import * as tf from '@tensorflow/tfjs-core';
import { defineKernel } from '../kernel';
import type { KernelModule } from '../module';

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
  /** Of the averages that are updated in the same pass. */
  readonly betas: readonly number[];
}

/** A tensor of given values, to be disposed of by the kernel that makes it. */
function of(module: KernelModule, values: readonly number[], dtype: 'int32' | 'float32'): tf.TensorInfo {
  const tensor = module.output([values.length], dtype);
  module.backend.typedArrayFromHeap(tensor).set(values);
  return tensor;
}

/** Values of a tensor that a thread takes at a time. */
const RUN = 16_384;

/**
 * One step of Adam and its kin: m′ = β₁m + (1 − β₁)g, v′ = β₂v + (1 − β₂)g², p′ = keep·p − factor·d with d = m′/(√v′ + ε), or m′
 * where the step is not adaptive, and averages a′ = β·a + (1 − β)·p′. Inputs are all parameters, all gradients, both moments and the
 * averages one after the other, as many tensors of each. Gives all p′, m′, v′ and a′.
 */
const adamUpdateAll = defineKernel<string, AdamStep>('AdamUpdateAll', ({ inputs, attrs, module }) => {
  const { beta1, beta2, factor, epsilon, keep, adaptive, betas } = attrs;
  const tensors = Object.values(inputs);
  const lists = 4 + betas.length;
  const count = tensors.length / lists;
  if (!Number.isInteger(count)) {
    throw new Error(`AdamUpdateAll: got ${tensors.length} tensors, expected ${lists} of each parameter`);
  }
  const given = Array.from({ length: lists }, (_, j) => tensors.slice(j * count, (j + 1) * count));
  const parameters = given[0]!;
  const sizes = parameters.map((_, i) =>
    checked('AdamUpdateAll', Object.fromEntries(given.map((list, j) => [`${j}:${i}`, list[i]!]))),
  );
  const outputs = Array.from({ length: lists - 1 }, () =>
    parameters.map(({ shape }) => module.output(shape, 'float32')),
  );
  // Each tensor's places: p, g, m, v, p′, m′, v′, and of each average before and afterwards.
  const [p1, m1, v1, ...averaged] = outputs as [
    tf.TensorInfo[],
    tf.TensorInfo[],
    tf.TensorInfo[],
    ...tf.TensorInfo[][],
  ];
  const columns = [...given.slice(0, 4), p1, m1, v1, ...averaged.flatMap((after, j) => [given[4 + j]!, after])];
  const runs: number[] = [];
  sizes.forEach((size, i) => {
    const at = columns.map((column) => module.offset(column[i]!));
    for (let from = 0; from < size; from += RUN) {
      runs.push(Math.min(RUN, size - from), ...at.map((offset) => offset + 4 * from));
    }
  });
  const table = of(module, runs, 'int32');
  const rests = of(
    module,
    betas.flatMap((beta) => [beta, 1 - beta]),
    'float32',
  );
  const largest = Math.min(RUN, Math.max(0, ...sizes));
  const lengths = [runs.length / (columns.length + 1), largest];
  const moments = [beta1, 1 - beta1, beta2, 1 - beta2];
  module.native.adam_update_all(
    module.offset(table),
    ...lengths,
    module.offset(rests),
    betas.length,
    ...moments,
    factor,
    epsilon,
    keep,
    adaptive ? 1 : 0,
  );
  for (const { dataId } of [table, rests]) module.backend.disposeData(dataId);
  return outputs.flat();
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
export const training = [adamUpdateAll, linearCombination, unitMagnitude, unitMagnitudeGrad];
