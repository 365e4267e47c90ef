import * as tf from '@tensorflow/tfjs-core';

/**
 * Self-attention over pixels: softmax(q·kᵀ/√d)·v in every head of d channels.
 *
 * @param qkv [batch, height, width, 3·channels], ordered (which, head, channel)
 * @returns [batch, height, width, channels]
 */
export function attention(qkv: tf.Tensor4D, heads: number): tf.Tensor4D {
  const [batch, height, width, triple] = qkv.shape;
  const channels = triple / 3;
  const pixels = height * width;
  const parts = tf.split(tf.reshape(qkv, [batch, pixels, triple]), 3, 2) as tf.Tensor3D[];
  // With one head nothing has to be moved.
  const byHead = (x: tf.Tensor3D) =>
    heads === 1 ? x : tf.transpose(tf.reshape(x, [batch, pixels, heads, channels / heads]), [0, 2, 1, 3]);
  const [q, k, v] = parts.map(byHead) as [tf.Tensor, tf.Tensor, tf.Tensor];
  // Queries are scaled, not scores, of which there are often more.
  const scores = tf.matMul(tf.mul(q, Math.sqrt(heads / channels)), k, false, true);
  const mixed = tf.matMul(tf.softmax(scores), v);
  const together = heads === 1 ? mixed : tf.transpose(mixed, [0, 2, 1, 3]);
  return tf.reshape(together, [batch, height, width, channels]);
}

/**
 * Checkpoints interleave query, key and value within each channel (head, channel, which) along the last axis; {@link attention} wants
 * (which, head, channel). Reordering a layer's weights costs less than its activations.
 */
export function parted<T extends tf.Tensor>(w: T): T {
  const rows = w.size / w.shape[w.rank - 1]!;
  return tf.reshape(tf.transpose(tf.reshape(w, [rows, -1, 3]), [0, 2, 1]), w.shape) as T;
}
