import { unit } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { songUNetConfig } from '../src';

/** A network that is small but has every kind of layer of DDPM++. */
export const small = songUNetConfig({
  resolution: 8,
  channels: 1,
  modelChannels: 8,
  channelMult: [1, 2],
  numBlocks: 1,
  attnResolutions: [4],
  dropout: 0.3,
});

/** A tensor of unit variance, by name. */
export const tensor = <R extends tf.Rank>(name: string, shape: tf.ShapeMap[R]) =>
  tf.tensor(unit(name, shape as number[]), shape);

/** Root mean square of a tensor's values. */
export const magnitude = (x: tf.Tensor) => Math.sqrt(tf.tidy(() => tf.mean(tf.square(x)).dataSync()[0]!));
