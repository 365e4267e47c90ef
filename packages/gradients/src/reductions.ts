import * as tf from '@tensorflow/tfjs-core';
import { type GradientTable, gradient } from './table';

/** dy of a reduction, reshaped such that it broadcasts over the axes that were reduced. */
function keepAxes(dy: tf.Tensor, shape: readonly number[], axis: number | number[] | undefined | null): tf.Tensor {
  const axes = tf.util.parseAxisParam(axis ?? shape.map((_, i) => i), [...shape]);
  return tf.reshape(
    dy,
    shape.map((extent, i) => (axes.includes(i) ? 1 : extent)),
  );
}

/** A maximum or minimum: dy goes to where the value is; equal values each get all of it. */
const extremum = gradient<{ reductionIndices?: number | number[]; axis?: number | number[] }>({
  save: ['x'],
  saveOutput: true,
  of: (dy, [x, y], { reductionIndices, axis }) => ({
    x: () => {
      const axes = reductionIndices ?? axis;
      const here = tf.equal(x!, keepAxes(y!, x!.shape, axes));
      return tf.mul(keepAxes(dy, x!.shape, axes), tf.cast(here, 'float32'));
    },
  }),
});

type Axes = { axis?: number | number[]; dim?: number; logits?: unknown };

export const reductions: GradientTable = {
  Sum: gradient<Axes>({
    save: ['x'],
    of: (dy, [x], { axis }) => ({ x: () => tf.broadcastTo(keepAxes(dy, x!.shape, axis), x!.shape) }),
  }),
  Mean: gradient<Axes>({
    save: ['x'],
    of: (dy, [x], { axis }) => ({
      x: () => tf.broadcastTo(tf.mul(keepAxes(dy, x!.shape, axis), dy.size / x!.size), x!.shape),
    }),
  }),
  Max: extremum,
  Min: extremum,
  // y = softmax(x): y (dy - Σ dy y)
  Softmax: gradient<{ dim: number }>({
    saveOutput: true,
    of: (dy, [y], { dim }) => ({
      logits: () => {
        const weighted = tf.mul(dy, y!);
        return tf.sub(weighted, tf.mul(tf.sum(weighted, dim, true), y!));
      },
    }),
  }),
  LogSoftmax: gradient<{ axis: number }>({
    saveOutput: true,
    of: (dy, [y], { axis }) => ({ logits: () => tf.sub(dy, tf.mul(tf.sum(dy, axis, true), tf.exp(y!))) }),
  }),
  Cumsum: gradient<{ axis: number; exclusive: boolean; reverse: boolean }>({
    of: (dy, _, { axis, exclusive, reverse }) => ({ x: () => tf.cumsum(dy, axis, exclusive, !reverse) }),
  }),
};
