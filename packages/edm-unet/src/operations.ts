import { mpSilu } from '@cm/edm2-unet';
import * as tf from '@tensorflow/tfjs-core';

/** x·sigmoid(x), by EDM2's activation, for which backends have fused kernels: that divides it by 0.596. */
export const silu = <T extends tf.Tensor>(x: T): T => tf.mul(mpSilu(x), 0.596);

/** x·Wᵀ + b by a layer's weights [out, in] and, where it has them, biases. */
export function linear(params: tf.NamedTensorMap, layer: string, x: tf.Tensor2D): tf.Tensor2D {
  const y: tf.Tensor2D = tf.matMul(x, params[`${layer}.weight`] as tf.Tensor2D, false, true);
  const bias = params[`${layer}.bias`];
  return bias ? tf.add(y, bias) : y;
}

/** A convolution by a layer's weights (HWIO) and biases, padded with zeros. */
export function convolve(params: tf.NamedTensorMap, layer: string, x: tf.Tensor4D): tf.Tensor4D {
  return tf.add(tf.conv2d(x, params[`${layer}.weight`] as tf.Tensor4D, 1, 'same'), params[`${layer}.bias`]!);
}
