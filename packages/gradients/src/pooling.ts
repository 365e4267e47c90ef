import * as tf from '@tensorflow/tfjs-core';
import { ofInput, type Rules, rule } from './rule';

const run = (kernel: string, inputs: tf.NamedTensorMap, attributes: object): tf.Tensor =>
  tf.engine().runKernel(kernel, inputs, attributes as tf.NamedAttrMap);

/** How many of a window's positions lie inside the image, for every window along one axis. */
function inside(windows: number, stride: number, size: number, padBefore: number, extent: number): number[] {
  return Array.from({ length: windows }, (_, i) => {
    const start = i * stride - padBefore;
    return Math.min(start + size, extent) - Math.max(start, 0);
  });
}

/**
 * tfjs averages over the part of a window that lies inside the image, but its gradient kernel divides by the whole window: the
 * gradients of windows over the edge are scaled up to make good for it.
 */
function averagePool(dy: tf.Tensor, x: tf.Tensor, { filterSize, strides, pad, dimRoundingMode }: tf.AvgPoolAttrs) {
  const shape = x.shape as [number, number, number, number];
  const pool = tf.backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad, dimRoundingMode);
  const { filterHeight, filterWidth, padInfo } = pool;
  const rows = inside(pool.outHeight, pool.strideHeight, filterHeight, padInfo.top, pool.inHeight);
  const columns = inside(pool.outWidth, pool.strideWidth, filterWidth, padInfo.left, pool.inWidth);
  const factors = rows.flatMap((row) => columns.map((column) => (filterHeight * filterWidth) / (row * column)));
  const scaled = factors.every((factor) => factor === 1)
    ? dy
    : tf.mul(dy, tf.tensor(factors, [1, rows.length, columns.length, 1]));
  return run(tf.AvgPoolGrad, { dy: scaled, input: x }, { filterSize, strides, pad });
}

/** Pooling over windows, by the backend's own gradient kernels. */
export const poolingRules: Rules = {
  AvgPool: ofInput(averagePool),
  MaxPool: rule<tf.MaxPoolAttrs>({ inputs: ['x'], output: true }, ([dy], [x, y], attributes) => ({
    x: () => run(tf.MaxPoolGrad, { dy: dy!, input: x!, output: y! }, attributes),
  })),
};
