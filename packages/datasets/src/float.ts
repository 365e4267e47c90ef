import * as tf from '@tensorflow/tfjs-core';
import { type ImageShape, imageSize } from './dataset';
import { DatasetError } from './error';

/**
 * Bytes as the images that networks see: v/127.5 − 1, float32 in [−1, 1].
 *
 * @returns A tensor of the given shape, the caller's.
 * @throws DatasetError when the bytes are not as many as the shape says.
 *
 * @example
 * ```ts
 * import { toFloat } from '@cm/datasets';
 *
 * console.log(toFloat(Uint8Array.of(0, 255), [1, 1, 2, 1]).dataSync()); // [-1, 1]
 * ```
 */
export function toFloat(images: Uint8Array, shape: ImageShape): tf.Tensor4D {
  if (images.length !== shape[0] * imageSize(shape)) {
    throw new DatasetError(`toFloat: images has ${images.length} bytes, expected [${shape}]`);
  }
  return tf.tensor4d(floatRows(images, undefined, shape), [...shape], 'float32');
}

/**
 * The values of {@link toFloat} for some of the images, in any order.
 *
 * @param places Which image of the bytes each row is. Default: row i is image i.
 * @param flipped 1 for rows that are mirrored left to right.
 */
export function floatRows(
  images: Uint8Array,
  places: ArrayLike<number> | undefined,
  shape: ImageShape,
  flipped?: Uint8Array,
): Float32Array {
  const [rows, height, width, channels] = shape;
  const size = imageSize(shape);
  const values = new Float32Array(rows * size);
  for (let row = 0; row < rows; row++) {
    const from = (places ? places[row]! : row) * size;
    const to = row * size;
    if (!flipped?.[row]) {
      for (let i = 0; i < size; i++) values[to + i] = images[from + i]! / 127.5 - 1;
      continue;
    }
    for (let y = 0; y < height; y++) {
      // The last pixel of a line first; channels keep their order.
      let at = to + y * width * channels;
      for (let x = width - 1; x >= 0; x--) {
        const pixel = from + (y * width + x) * channels;
        for (let channel = 0; channel < channels; channel++) values[at++] = images[pixel + channel]! / 127.5 - 1;
      }
    }
  }
  return values;
}
