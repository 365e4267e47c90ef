import * as tf from '@tensorflow/tfjs-core';
import { fused, withGradient } from './fused';
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
  const mixed = dotProductAttention(tf.reshape(normalised, [batch, pixels, triple]), heads);
  return tf.reshape(mixed, [batch, height, width, channels]);
}

/** softmax(q·kᵀ/√d)·v per head, of qkv [batch, pixels, 3·heads·d], ordered (which, head, channel). */
export function dotProductAttention(qkv: tf.Tensor3D, heads: number): tf.Tensor3D {
  if (!tf.getKernel('Attention', tf.getBackend())) return composition(qkv, heads);
  return withGradient([qkv], (save) => {
    save([qkv]);
    const [value] = fused('Attention', { qkv }, { heads })!;
    return {
      value: value as tf.Tensor3D,
      gradient: (dy, [x]) => fused('AttentionGrad', { qkv: x!, dy }, { heads })!,
    };
  });
}

function composition(qkv: tf.Tensor3D, heads: number): tf.Tensor3D {
  const [batch, pixels, triple] = qkv.shape;
  const channels = triple / 3;
  const size = channels / heads;
  // With one head nothing has to be moved.
  const byHead = (x: tf.Tensor3D) =>
    heads === 1 ? x : tf.transpose(tf.reshape(x, [batch, pixels, heads, size]), [0, 2, 1, 3]);
  const [q, k, v] = (tf.split(qkv, 3, 2) as tf.Tensor3D[]).map(byHead) as [tf.Tensor, tf.Tensor, tf.Tensor];
  // Queries are scaled, not scores, of which there are pixels/size times as many.
  const scores = tf.matMul(tf.mul(q, 1 / Math.sqrt(size)), k, false, true);
  const mixed = tf.matMul(tf.softmax(scores), v);
  const together = heads === 1 ? mixed : tf.transpose(mixed, [0, 2, 1, 3]);
  return tf.reshape(together, [batch, pixels, channels]);
}
