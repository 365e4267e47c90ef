import * as tf from '@tensorflow/tfjs-core';
import { defineKernel } from '../kernel';
import { multiply } from './multiply';

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
    const aIndex = broadcastIndex(aBatch, batch);
    const bIndex = broadcastIndex(bBatch, batch);
    const [aAt, bAt, outAt] = [module.offset(a), module.offset(b), module.offset(out)];
    for (let i = 0; i < batches; i++) {
      multiply(
        module,
        aAt + 4 * m * k * aIndex(i),
        transposeA,
        bAt + 4 * k * n * bIndex(i),
        transposeB,
        outAt + 4 * m * n * i,
        [m, n, k],
      );
    }
    return out;
  },
);

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
