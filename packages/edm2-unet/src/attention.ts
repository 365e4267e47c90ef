import * as tf from '@tensorflow/tfjs-core';
import { pixelNorm } from './magnitude-preserving';

/**
 * Self-attention over pixels with queries, keys and values of unit magnitude (EDM2 section 2.2, "cosine attention").
 *
 * @param qkv [batch, height, width, 3·channels], ordered (which, head, channel)
 * @returns [batch, height, width, channels]
 */
export function attention(qkv: tf.Tensor4D, channelsPerHead: number): tf.Tensor4D {
  const [batch, height, width, triple] = qkv.shape;
  const channels = triple / 3;
  const heads = channels / channelsPerHead;
  const pixels = height * width;
  const normalised = pixelNorm(tf.reshape(qkv, [batch, pixels, 3, heads, channelsPerHead]));
  const parts = tf.split(tf.reshape(normalised, [batch, pixels, triple]), 3, 2) as tf.Tensor3D[];
  // With one head nothing has to be moved.
  const byHead = (x: tf.Tensor3D) =>
    heads === 1 ? x : tf.transpose(tf.reshape(x, [batch, pixels, heads, channelsPerHead]), [0, 2, 1, 3]);
  const [q, k, v] = parts.map(byHead) as [tf.Tensor, tf.Tensor, tf.Tensor];
  // Queries are scaled, not scores, of which there are pixels/channelsPerHead times as many.
  const scores = tf.matMul(tf.mul(q, 1 / Math.sqrt(channelsPerHead)), k, false, true);
  const mixed = tf.matMul(tf.softmax(scores), v);
  const together = heads === 1 ? mixed : tf.transpose(mixed, [0, 2, 1, 3]);
  return tf.reshape(together, [batch, height, width, channels]);
}
