import { type FixtureTensor, readSafetensorsFixture, u, unit } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { type Edm2Config, edm2Config, fromCheckpoint } from '../src';
import { parametersOf } from '../src/parameters';

/** A reference network's configuration, weights (made from their names) and recorded numbers. */
export function readReference(name: 'edm2-tiny' | 'edm2-uncond') {
  const { tensors, metadata } = readSafetensorsFixture(new URL(`fixtures/${name}.safetensors`, import.meta.url));
  const given = JSON.parse(metadata.config!);
  const config = edm2Config({
    resolution: given.img_resolution,
    channels: given.img_channels,
    labelDim: given.label_dim,
    modelChannels: given.model_channels,
    channelMult: given.channel_mult,
    numBlocks: given.num_blocks,
    attnResolutions: given.attn_resolutions,
    channelsPerHead: given.channels_per_head,
    logvarChannels: given.logvar_channels,
    ...(given.resample_filter && { resampleFilter: given.resample_filter }),
  });
  return { config, tensors, tag: metadata.tag!, params: () => formulaParameters(config, metadata.tag!) };
}

function formulaParameters(config: Edm2Config, tag: string): tf.NamedTensorMap {
  const stored = parametersOf(config).map(({ name, shape, kind }) => {
    const [h, w, i, o] = shape;
    const inFile = shape.length === 4 ? [o!, i!, h!, w!] : [...shape];
    const value = () => {
      if (name === 'unet.out_gain') return tf.scalar(0.7);
      if (kind === 'gain') return tf.scalar(0.3 + 0.4 * Math.abs(u(tag + name, 1)[0]!));
      if (kind === 'frequencies') return tf.mul(tf.tensor(unit(tag + name, inFile), inFile), 2 * Math.PI);
      if (kind === 'phases') return tf.mul(tf.add(tf.tensor(u(tag + name, inFile[0]!), inFile), 1), Math.PI);
      return tf.tensor(unit(tag + name, inFile), inFile);
    };
    return [name, tf.tidy(value)] as const;
  });
  return fromCheckpoint(Object.fromEntries(stored));
}

/** A recorded NCHW tensor as NHWC. */
export const images = ({ shape, data }: FixtureTensor) =>
  tf.tidy(() =>
    tf.transpose(tf.tensor4d(data as Float32Array, shape as [number, number, number, number]), [0, 2, 3, 1]),
  );

/** A recorded OIHW gradient as the parameter lies in memory. */
export const asParameter = ({ shape, data }: FixtureTensor) =>
  tf.tidy(() => {
    const tensor = tf.tensor(data as Float32Array, shape);
    return shape.length === 4 ? tf.transpose(tensor, [2, 3, 1, 0]) : tensor;
  });
