import { type Dropout, downsample, upsample } from '@cm/edm2-unet';
import { dropoutMask, split } from '@cm/random';
import * as tf from '@tensorflow/tfjs-core';
import { attention, parted } from './attention';
import { type EdmConfig, groupsOf } from './config';
import { groupNorm } from './group-norm';
import type { BlockSpec } from './layers';
import { convolve, linear } from './operations';
import { hasProjection } from './parameters';

/**
 * One residual block: normalisation, activation, resampling and convolution; the embedding, added before the second normalisation (DDPM++,
 * NCSN++) or scaling and shifting after it (ADM); activation, dropout, convolution; the shortcut; attention where the block has it.
 *
 * @param input [batch, height, width, channels], with the skip connection already concatenated
 * @param embedding [batch, embedding channels]
 */
export function block(
  config: EdmConfig,
  params: tf.NamedTensorMap,
  spec: BlockSpec,
  { input, embedding, dropout }: { input: tf.Tensor4D; embedding: tf.Tensor2D; dropout?: Dropout },
): tf.Tensor4D {
  const { name, resample, channels, heads } = spec;
  const song = config.architecture === 'song';
  const filter = song ? config.resampleFilter : [1, 1];
  const of = (part: string) => params[`${name}.${part}`]!;
  const conv = (x: tf.Tensor4D, layer: string) => convolve(params, `${name}.${layer}`, x);
  const norm = (
    x: tf.Tensor4D,
    layer: string,
    { gain = of(`${layer}.weight`), bias = of(`${layer}.bias`), activation = true } = {},
  ) => groupNorm(x, gain, bias, { groups: groupsOf(x.shape[3]), epsilon: epsilonOf(config), activation });
  const resampled = (x: tf.Tensor4D) => {
    if (resample === 'keep') return x;
    return resample === 'down' ? downsample(x, filter) : upsample(x, filter);
  };
  // Half of the variance is the branch's, half the shortcut's.
  const joined = (x: tf.Tensor4D, y: tf.Tensor4D): tf.Tensor4D => {
    const sum = tf.add(x, y) as tf.Tensor4D;
    return song ? tf.mul(sum, Math.SQRT1_2) : sum;
  };

  let y = conv(resampled(norm(input, 'norm0')), 'conv0');
  const affine = linear(params, `${name}.affine`, embedding);
  if (song) {
    y = norm(tf.add(y, tf.reshape(affine, [-1, 1, 1, channels])), 'norm1');
  } else {
    const [scale, shift] = tf.split(affine, 2, 1) as [tf.Tensor2D, tf.Tensor2D];
    const factor = tf.add(scale, 1);
    const gain = tf.mul(of('norm1.weight'), factor);
    y = norm(y, 'norm1', { gain, bias: tf.add(tf.mul(of('norm1.bias'), factor), shift) });
  }
  if (dropout && dropout.rate > 0) {
    y = tf.mul(y, dropoutMask(split(dropout.key, name), dropout.rows, y.shape.slice(1), dropout.rate));
  }
  y = conv(y, 'conv1');
  const shortcut = resampled(input);
  const x = joined(y, hasProjection(config, spec) ? conv(shortcut, 'skip') : shortcut);
  if (heads === 0) return x;
  const qkv = tf.conv2d(norm(x, 'norm2', { activation: false }), parted(of('qkv.weight')) as tf.Tensor4D, 1, 'same');
  return joined(conv(attention(tf.add(qkv, parted(of('qkv.bias'))), heads), 'proj'), x);
}

/** ε of the normalisations in blocks and outputs. */
export const epsilonOf = (config: EdmConfig): number => (config.architecture === 'song' ? 1e-6 : 1e-5);
