import * as tf from '@tensorflow/tfjs-core';

/**
 * Images at another size by Pillow's bicubic filter: a = −1/2, widened by the factor when images shrink, so that nothing aliases; in float32,
 * neither clipped nor rounded. This is clean-fid's resizing: wrap a network in it, `(images) => extract(resampleBicubic(images, [299, 299]))`.
 *
 * @param images [batch, height, width, channels].
 * @returns [batch, outHeight, outWidth, channels]; the caller's.
 * @see Parmar et al. 2022, _On Aliased Resizing and Surprising Subtleties in GAN Evaluation_; Keys 1981 for the filter.
 */
export function resampleBicubic(
  images: tf.Tensor4D,
  [outHeight, outWidth]: readonly [height: number, width: number],
): tf.Tensor4D {
  return tf.tidy(() => {
    const [batch, height, width, channels] = images.shape;
    // Columns first, as Pillow.
    const columns = tf.reshape(tf.transpose(images, [2, 0, 1, 3]), [width, -1]) as tf.Tensor2D;
    const narrow = tf.reshape(tf.matMul(weights(width, outWidth), columns), [outWidth, batch, height, channels]);
    const rows = tf.reshape(tf.transpose(narrow, [2, 1, 0, 3]), [height, -1]) as tf.Tensor2D;
    const done = tf.reshape(tf.matMul(weights(height, outHeight), rows), [outHeight, batch, outWidth, channels]);
    return tf.transpose(done, [1, 0, 2, 3]) as tf.Tensor4D;
  });
}

/** How much each of `size` pixels is in each of `outSize`: [outSize, size], rows sum to one. */
function weights(size: number, outSize: number): tf.Tensor2D {
  const scale = size / outSize;
  const wide = Math.max(scale, 1);
  const support = 2 * wide;
  const matrix = new Float32Array(outSize * size);
  for (let i = 0; i < outSize; i++) {
    const center = (i + 0.5) * scale;
    const from = Math.max(0, Math.trunc(center - support + 0.5));
    const to = Math.min(size, Math.trunc(center + support + 0.5));
    const row = Float64Array.from({ length: to - from }, (_, j) => cubic((from + j + 0.5 - center) / wide));
    const sum = row.reduce((total, weight) => total + weight, 0);
    row.forEach((weight, j) => {
      matrix[i * size + from + j] = weight / sum;
    });
  }
  return tf.tensor2d(matrix, [outSize, size]);
}

/** Keys's cubic with a = −1/2. */
function cubic(at: number): number {
  const x = Math.abs(at);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
  return 0;
}
