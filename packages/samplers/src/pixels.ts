import type { Tensor4D } from '@tensorflow/tfjs-core';

/**
 * Bytes of images in [−1, 1], row-major, as an image file has them: clipped, rounded to the nearest of 256 levels. NaN becomes 0.
 *
 * @example
 * ```ts
 * import { toPixels } from '@cm/samplers';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * console.log(toPixels(tf.tensor4d([-1, 0, 0.5, 2], [1, 2, 2, 1]))); // [0, 128, 191, 255]
 * ```
 */
export function toPixels(images: Tensor4D): Uint8Array {
  return Uint8Array.from(new Uint8ClampedArray(images.dataSync().map((value) => (value + 1) * 127.5)));
}
