import * as tf from '@tensorflow/tfjs-core';
import { type EdmConfig, embeddingChannels } from './config';
import { linear, silu } from './operations';

/** What the embedding is made of. */
export interface Condition {
  /** c_noise [batch]. */
  readonly noise: tf.Tensor1D;
  /** For a network with classes: rows [batch, labelDim] of 1 where the class is, zeros for none. */
  readonly classes?: tf.Tensor2D;
  /** Augmentation parameters [batch, augmentDim]. */
  readonly augment?: tf.Tensor2D;
}

/** The embedding of noise level, class and augmentation that every block gets: [batch, embedding channels]. */
export function embed(
  config: EdmConfig,
  params: tf.NamedTensorMap,
  { noise, classes, augment }: Condition,
): tf.Tensor2D {
  const song = config.architecture === 'song';
  const of = (layer: string, x: tf.Tensor2D) => linear(params, `model.${layer}`, x);
  let features = noiseFeatures(config, params, noise);
  if (song && classes) features = tf.add(features, of('map_label', tf.mul(classes, Math.sqrt(config.labelDim))));
  if (augment) features = tf.add(features, of('map_augment', augment));
  let embedding = of('map_layer1', silu(of('map_layer0', features)));
  if (!song && classes) embedding = tf.add(embedding, of('map_label', classes));
  return silu(embedding);
}

/** Sines and cosines of the noise condition: sines first in DDPM++ and NCSN++, cosines first in ADM. */
function noiseFeatures(config: EdmConfig, params: tf.NamedTensorMap, noise: tf.Tensor1D): tf.Tensor2D {
  const song = config.architecture === 'song';
  const phases = tf.mul(tf.expandDims(noise, 1), frequencies(config, params));
  const waves = [tf.sin(phases), tf.cos(phases)];
  return tf.concat(song ? waves : waves.reverse(), 1) as tf.Tensor2D;
}

/** Positional: 10000^(−i/n) for i < n; to the end, 1/10000, in DDPM++. Fourier: 2π times the stored ones, which are not learned. */
function frequencies(config: EdmConfig, params: tf.NamedTensorMap): tf.Tensor {
  const song = config.architecture === 'song';
  if (song && config.embedding === 'fourier') return tf.mul(fixed(params['model.map_noise.freqs']!), 2 * Math.PI);
  const half = embeddingChannels(config).noise / 2;
  const last = song ? Math.max(half - 1, 1) : half;
  return tf.tensor1d(Array.from({ length: half }, (_, i) => 10000 ** (-i / last)));
}

/** Its value, without a gradient. */
const fixed = (x: tf.Tensor) =>
  tf.customGrad((x) => ({ value: tf.clone(x as tf.Tensor), gradFunc: () => tf.zerosLike(x as tf.Tensor) }))(x);
