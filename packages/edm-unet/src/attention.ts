import { dotProductAttention } from '@cm/edm2-unet';
import * as tf from '@tensorflow/tfjs-core';

/**
 * Self-attention over pixels: softmax(q·kᵀ/√d)·v in every head of d channels.
 *
 * @param qkv [batch, height, width, 3·channels], ordered (which, head, channel)
 * @returns [batch, height, width, channels]
 */
export function attention(qkv: tf.Tensor4D, heads: number): tf.Tensor4D {
  const [batch, height, width, triple] = qkv.shape;
  const mixed = dotProductAttention(tf.reshape(qkv, [batch, height * width, triple]) as tf.Tensor3D, heads);
  return tf.reshape(mixed, [batch, height, width, triple / 3]);
}

/**
 * Checkpoints interleave query, key and value within each channel (head, channel, which) along the last axis; {@link attention} wants
 * (which, head, channel). Reordering a layer's weights costs less than its activations.
 */
export function parted<T extends tf.Tensor>(w: T): T {
  const rows = w.size / w.shape[w.rank - 1]!;
  return tf.reshape(tf.transpose(tf.reshape(w, [rows, -1, 3]), [0, 2, 1]), w.shape) as T;
}
