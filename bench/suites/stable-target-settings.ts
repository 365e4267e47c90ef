import { key, normal, normalArray } from '@cm/random';
import type * as tf from '@tensorflow/tfjs-core';

export const [batch, dims] = [128, 3072];

/** References are `pattern` over and over, of a length that is prime, so that no two are the same; the batch is the first of them. */
export const stableTargetInputs = () => ({
  pattern: Uint8Array.from(normalArray(key(1), 999_983), (z) => 128 + 40 * z),
  noise: normal(key(3), [batch, dims]) as tf.Tensor2D,
  t: Array.from(normalArray(key(4), batch), (z) => Math.fround(Math.exp(1.5 * z))),
});

/** So many references, as bytes. */
export function referenceBytes(pattern: Uint8Array, count: number): Uint8Array {
  const images = new Uint8Array(count * dims);
  for (let at = 0; at < images.length; at += pattern.length) images.set(pattern.subarray(0, images.length - at), at);
  return images;
}
