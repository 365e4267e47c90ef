import * as tf from '@tensorflow/tfjs-core';
import { defineKernel } from '../kernel';
import { multiply } from './multiply';

// The stable target, as `@cm/stable-target` calls it: what a chunk of references does to each row's sums, and references from bytes.

function expectShape(kernel: string, name: string, { shape }: tf.TensorInfo, expected: readonly number[]): void {
  if (!tf.util.arraysEqual(shape, [...expected])) {
    throw new Error(`${kernel}: ${name} has shape [${shape}], expected [${expected}]`);
  }
}

function expectType(kernel: string, name: string, { dtype }: tf.TensorInfo, expected: tf.DataType): void {
  if (dtype !== expected) throw new Error(`${kernel}: ${name} is ${dtype}, expected ${expected}`);
}

type Inputs = Readonly<Record<'queries' | 'rows' | 'own' | 'max' | 'squares' | 'sums', tf.TensorInfo>> & {
  readonly prior?: tf.TensorInfo;
};

/** Checks all inputs; gives [batch, references of the chunk, numbers of each]. */
function checked(inputs: Inputs, begin: number): readonly [batch: number, size: number, width: number] {
  const name = 'PosteriorSums';
  for (const [input, tensor] of Object.entries(inputs)) {
    if (tensor) expectType(name, input, tensor, input === 'own' ? 'int32' : 'float32');
  }
  const { queries, rows, own, max, squares, sums, prior } = inputs;
  const [batch, width] = queries.shape as [number, number];
  const size = rows.shape[0]!;
  expectShape(name, 'rows', rows, [size, width]);
  expectShape(name, 'own', own, [batch]);
  expectShape(name, 'max', max, [batch, 1]);
  expectShape(name, 'squares', squares, [batch, 1]);
  expectShape(name, 'sums', sums, [batch, width]);
  if (prior) {
    const count = prior.shape[prior.shape.length - 1]!;
    if (begin + size > count) {
      throw new Error(`${name}: prior has shape [${prior.shape}], expected ${begin + size} references or more`);
    }
    expectShape(name, 'prior', prior, prior.shape.length === 1 ? [count] : [batch, count]);
  }
  return [batch, size, width];
}

/**
 * With logits queries·rowsᵀ + prior, own samples' left out: max′ = max(max, logits), and with weights W = exp(logit − max′) and
 * c = exp(max − max′), squares′ = c²·squares + Σ W² and sums′ = c·sums + Σ W·row. Gives [max′, squares′, sums′]. `own` and `prior` are by
 * index in all references, of which the chunk begins at `begin`.
 */
const posteriorSums = defineKernel<'queries' | 'rows' | 'own' | 'max' | 'squares' | 'sums', { begin: number }>(
  'PosteriorSums',
  ({ inputs, attrs: { begin }, module }) => {
    const { queries, rows, own, max, squares, sums, prior } = inputs as Inputs;
    const [batch, size, width] = checked(inputs, begin);
    const { native, offset } = module;
    const after = [max, squares, sums].map(({ shape }) => module.output(shape, 'float32'));
    const [top, topSquares, topSums] = after.map(offset) as [number, number, number];
    const priors = prior ? [offset(prior), prior.shape.length === 2 ? prior.shape[1]! : 0] : [0, 0];
    // Logits [batch, size], products [batch, width] and rows' numbers [batch].
    module.withScratch(4 * batch * (size + width + 1), (logits) => {
      const added = logits + 4 * batch * size;
      const active = added + 4 * batch * width;
      multiply(module, offset(queries), false, offset(rows), true, logits, [batch, size, width]);
      const before = [offset(own), begin, offset(max), offset(squares)];
      const count = native.posterior_weights(logits, ...priors, ...before, top, topSquares, active, batch, size);
      if (count > 0) multiply(module, logits, false, offset(rows), false, added, [count, width, size]);
      native.posterior_add(offset(sums), added, offset(max), top, active, count, topSums, batch, width);
    });
    return after;
  },
);

/** Bytes v [count, n], as a tensor of bool, whose values they are, as rows [v/127.5 + shift, Σ of their squares, 1] of [count, n + 2]. */
const referenceRows = defineKernel<'bytes' | 'shift'>('ReferenceRows', ({ inputs: { bytes, shift }, module }) => {
  expectType('ReferenceRows', 'bytes', bytes, 'bool');
  expectType('ReferenceRows', 'shift', shift, 'float32');
  const [count, n] = bytes.shape as [number, number];
  expectShape('ReferenceRows', 'shift', shift, [n]);
  const rows = module.output([count, n + 2], 'float32');
  module.native.reference_rows(module.offset(bytes), module.offset(shift), module.offset(rows), count, n);
  return rows;
});

/** Both of them. */
export const posterior = [posteriorSums, referenceRows];
