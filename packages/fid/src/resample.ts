import * as tf from '@tensorflow/tfjs-core';
import { quantize } from './extract';

/** How {@link resampleBicubic} rounds. */
export interface ResampleOptions {
  /**
   * Rounds and clips to the 256 levels of a file after the columns and again after the rows, as Pillow does with images of bytes. Default
   * false: single precision, neither clipped nor rounded, as Pillow does with images of floats (clean-fid).
   */
  readonly bytes?: boolean;
}

/**
 * Images at another size by Pillow's bicubic filter: a = −1/2, widened by the factor when images shrink, so that nothing aliases.
 * Without `bytes` this is clean-fid's resizing: wrap a network in it, `(images) => extract(resampleBicubic(images, [299, 299]))`.
 *
 * @param images [batch, height, width, channels]; with `bytes`, in [−1, 1].
 * @returns [batch, outHeight, outWidth, channels]; the caller's.
 * @see Parmar et al. 2022, _On Aliased Resizing and Surprising Subtleties in GAN Evaluation_; Keys 1981 for the filter.
 */
export function resampleBicubic(
  images: tf.Tensor4D,
  [outHeight, outWidth]: readonly [height: number, width: number],
  { bytes = false }: ResampleOptions = {},
): tf.Tensor4D {
  const round = bytes ? quantize : (x: tf.Tensor4D) => x;
  return tf.tidy(() => {
    const [, height, width] = images.shape;
    // Columns first, as Pillow.
    const narrow = round(mixColumns(images, pillowWeights(width, outWidth)));
    return round(mixRows(narrow, pillowWeights(height, outHeight)));
  });
}

/** Every row of pixels anew: column j of the result is Σ_k weights[j, k] · column k. weights is [outWidth, width]. */
export function mixColumns(images: tf.Tensor4D, weights: tf.Tensor2D): tf.Tensor4D {
  return tf.tidy(() => {
    const [batch, height, width, channels] = images.shape;
    const columns = tf.reshape(tf.transpose(images, [2, 0, 1, 3]), [width, -1]) as tf.Tensor2D;
    const mixed = tf.reshape(tf.matMul(weights, columns), [weights.shape[0], batch, height, channels]);
    return tf.transpose(mixed, [1, 2, 0, 3]) as tf.Tensor4D;
  });
}

/** The same of the rows: weights is [outHeight, height]. */
export function mixRows(images: tf.Tensor4D, weights: tf.Tensor2D): tf.Tensor4D {
  return tf.tidy(() => {
    const [batch, height, width, channels] = images.shape;
    const rows = tf.reshape(tf.transpose(images, [1, 0, 2, 3]), [height, -1]) as tf.Tensor2D;
    const mixed = tf.reshape(tf.matMul(weights, rows), [weights.shape[0], batch, width, channels]);
    return tf.transpose(mixed, [1, 0, 2, 3]) as tf.Tensor4D;
  });
}

/** How much each of `size` pixels is in each of `outSize`: [outSize, size], rows sum to one. */
function pillowWeights(size: number, outSize: number): tf.Tensor2D {
  const scale = size / outSize;
  const wide = Math.max(scale, 1);
  const support = 2 * wide;
  const matrix = new Float32Array(outSize * size);
  for (let i = 0; i < outSize; i++) {
    const center = (i + 0.5) * scale;
    const from = Math.max(0, Math.trunc(center - support + 0.5));
    const to = Math.min(size, Math.trunc(center + support + 0.5));
    const row = Float64Array.from({ length: to - from }, (_, j) => cubic((from + j + 0.5 - center) / wide, -0.5));
    const sum = row.reduce((total, weight) => total + weight, 0);
    row.forEach((weight, j) => {
      matrix[i * size + from + j] = weight / sum;
    });
  }
  return tf.tensor2d(matrix, [outSize, size]);
}

/** Keys's cubic with the given a: its slope at 1. */
export function cubic(at: number, a: number): number {
  const x = Math.abs(at);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}
