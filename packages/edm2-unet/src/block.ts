import { dropoutMask, split } from '@cm/random';
import * as tf from '@tensorflow/tfjs-core';
import { attention } from './attention';
import type { BlockSpec, Edm2Config } from './config';
import type { Dropout } from './input';
import { modulatedMpSilu, mpSilu, mpSum, pixelNorm } from './magnitude-preserving';
import { downsample, upsample } from './resampling';

/**
 * One residual block of EDM2's Config G (Figure 21 of its paper): resampling; an encoder block's pixel normalisation; the residual
 * branch of two convolutions, modulated in between by the embedding; attention where the block has it.
 *
 * @param input [batch, height, width, channels], with the skip connection already concatenated
 * @param embedding [batch, embedding channels]
 */
export function block(
  config: Edm2Config,
  weights: tf.NamedTensorMap,
  spec: BlockSpec,
  { input, embedding, dropout }: { input: tf.Tensor4D; embedding: tf.Tensor2D; dropout?: Dropout },
): tf.Tensor4D {
  const { name, flavor, resample, resolution } = spec;
  const conv = (x: tf.Tensor4D, layer: string) => convolve(weights, `${name}.${layer}`, x);
  const skip = (x: tf.Tensor4D) => (spec.inChannels === spec.channels ? x : conv(x, 'conv_skip'));

  let x = input;
  if (resample === 'down') x = downsample(x, config.resampleFilter);
  if (resample === 'up') x = upsample(x, config.resampleFilter);
  if (flavor === 'enc') x = pixelNorm(skip(x));

  const scale = tf.add(multiply(weights, `${name}.emb_linear`, embedding), 1) as tf.Tensor2D;
  let y = modulatedMpSilu(conv(mpSilu(x), 'conv_res0'), scale);
  if (dropout && dropout.rate > 0 && resolution <= (config.dropoutMaxResolution ?? resolution)) {
    y = tf.mul(y, dropoutMask(split(dropout.key, name), dropout.rows, y.shape.slice(1), dropout.rate));
  }
  y = conv(y, 'conv_res1');
  if (flavor === 'dec') x = skip(x);

  if (!spec.attention) return mpSum(x, y, config.resBalance, config.clipAct);
  x = mpSum(x, y, config.resBalance);
  const attended = conv(attention(conv(x, 'attn_qkv'), config.channelsPerHead), 'attn_proj');
  return mpSum(x, attended, config.attnBalance, config.clipAct);
}

/** A convolution by a layer's prepared weights, padded with zeros. */
export const convolve = (weights: tf.NamedTensorMap, layer: string, x: tf.Tensor4D) =>
  tf.conv2d(x, weights[`${layer}.weight`] as tf.Tensor4D, 1, 'same');

/** x·Wᵀ by a layer's prepared weights [out, in]. */
export const multiply = (weights: tf.NamedTensorMap, layer: string, x: tf.Tensor2D): tf.Tensor2D =>
  tf.matMul(x, weights[`${layer}.weight`] as tf.Tensor2D, false, true);
