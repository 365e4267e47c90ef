import * as tf from '@tensorflow/tfjs-core';
import { type ImageShape, imageSize } from './dataset';
import { DatasetError } from './error';

const floats = Float32Array.from({ length: 256 }, (_, byte) => byte / 127.5 - 1);

/**
 * Bytes as the images that networks see: v/127.5 − 1, float32 in [−1, 1].
 *
 * @returns A tensor of the given shape, the caller's.
 * @throws DatasetError when the bytes are not as many as the shape says.
 */
export function toFloat(images: Uint8Array, shape: ImageShape): tf.Tensor4D {
  if (images.length !== shape[0] * imageSize(shape)) {
    throw new DatasetError(`toFloat: images has ${images.length} bytes, expected [${shape}]`);
  }
  const values = new Float32Array(images.length);
  for (let i = 0; i < values.length; i++) values[i] = floats[images[i]!]!;
  return tf.tensor4d(values, [...shape], 'float32');
}
