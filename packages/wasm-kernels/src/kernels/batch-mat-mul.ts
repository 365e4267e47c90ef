import * as tf from '@tensorflow/tfjs-core';
import { defineKernel } from '../kernel';
import { type Batch, multiply } from './multiply';

/** C = op(A) op(B) over the last two axes, batches broadcast. */
export const batchMatMul = defineKernel<'a' | 'b', tf.BatchMatMulAttrs>(
  tf.BatchMatMul,
  ({ inputs: { a, b }, attrs: { transposeA, transposeB }, module }) => {
    if (a.dtype !== 'float32' || b.dtype !== 'float32') {
      throw new Error(`BatchMatMul: a is ${a.dtype} and b ${b.dtype}, expected float32`);
    }
    const [aRows, aCols] = a.shape.slice(-2) as [number, number];
    const [bRows, bCols] = b.shape.slice(-2) as [number, number];
    const [m, k] = transposeA ? [aCols, aRows] : [aRows, aCols];
    const [inner, n] = transposeB ? [bCols, bRows] : [bRows, bCols];
    if (k !== inner) {
      throw new Error(
        `BatchMatMul: inner sizes ${k} and ${inner} differ; a is [${a.shape}], b [${b.shape}], transposeA ${transposeA}, transposeB ${transposeB}`,
      );
    }
    const aBatch = a.shape.slice(0, -2);
    const bBatch = b.shape.slice(0, -2);
    const batch = tf.broadcast_util.assertAndGetBroadcastShape(aBatch, bBatch);
    const out = module.output([...batch, m, n], 'float32');
    const batches = tf.util.sizeFromShape(batch);
    const [aSize, bSize] = [m * k, k * n];
    const at = { a: module.offset(a), b: module.offset(b), out: module.offset(out) };
    const product = (aIndex: number, bIndex: number, index: number, many?: Batch) =>
      multiply(
        module,
        at.a + 4 * aSize * aIndex,
        transposeA,
        at.b + 4 * bSize * bIndex,
        transposeB,
        at.out + 4 * m * n * index,
        [m, n, k],
        many,
      );
    const aStride = batchStride(aBatch, batches, aSize);
    const bStride = batchStride(bBatch, batches, bSize);
    if (aStride !== undefined && bStride !== undefined) {
      product(0, 0, 0, { batches, aStride, bStride });
      return out;
    }
    const aIndex = broadcastIndex(aBatch, batch);
    const bIndex = broadcastIndex(bBatch, batch);
    for (let i = 0; i < batches; i++) product(aIndex(i), bIndex(i), i);
    return out;
  },
);

/** Elements from a factor of `size` to the next product's, where that is always as many. */
function batchStride(from: readonly number[], batches: number, size: number): number | undefined {
  const own = tf.util.sizeFromShape([...from]);
  return own === batches ? size : own === 1 ? 0 : undefined;
}

/** Maps a position among the broadcast batches to the position in an operand with batch axes `from`. */
function broadcastIndex(from: readonly number[], to: readonly number[]): (position: number) => number {
  if (tf.util.sizeFromShape([...from]) === tf.util.sizeFromShape([...to])) return (position) => position;
  const skipped = to.length - from.length;
  return (position) => {
    let rest = position;
    let index = 0;
    let stride = 1;
    for (let axis = to.length - 1; axis >= skipped; axis--) {
      const extent = from[axis - skipped]!;
      if (extent > 1) index += (rest % to[axis]!) * stride;
      stride *= extent;
      rest = Math.floor(rest / to[axis]!);
    }
    return index;
  };
}
