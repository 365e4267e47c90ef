import * as tf from '@tensorflow/tfjs-core';
import { block, convolve, multiply } from './block';
import { blocksOf, type Edm2Config } from './config';
import type { Dropout } from './input';
import { mpCat, mpFourier, mpSilu, mpSum } from './magnitude-preserving';
import { firstConvolution } from './parameters';
import { ofLayer, recomputed } from './recompute';

/** What the raw network is given. */
export interface NetworkInput {
  /** Scaled images [batch, resolution, resolution, channels]. */
  readonly x: tf.Tensor4D;
  /** Noise condition [batch]. */
  readonly noise: tf.Tensor1D;
  /** For a network with classes: rows [batch, labelDim] of √labelDim where the class is, 0 elsewhere; zeros for no class. */
  readonly labels?: tf.Tensor2D;
  readonly dropout?: Dropout;
  /** Whether the backward pass computes every block again, for keeping none of its activations. */
  readonly recompute?: boolean;
}

/**
 * The raw network F of EDM2's Config G: an encoder and a decoder of residual blocks, each decoder block joined by a skip connection.
 *
 * @param weights from `normalizeWeights`
 * @returns [batch, resolution, resolution, channels]
 */
export function edm2Network(config: Edm2Config, weights: tf.NamedTensorMap, input: NetworkInput): tf.Tensor4D {
  return tf.tidy(() => {
    const { x, dropout, recompute } = input;
    const embedding = embed(config, weights, input);
    // A channel of ones gives the layers, which have no biases, a constant to start from.
    const ones = tf.ones([x.shape[0], x.shape[1], x.shape[2], 1]) as tf.Tensor4D;
    let y = convolve(weights, firstConvolution(config), tf.concat([x, ones], 3));
    const skips = [y];
    for (const spec of blocksOf(config)) {
      const run = ({ y, skip, embedding, ...own }: tf.NamedTensorMap) =>
        block(config, own, spec, {
          input: skip ? mpCat(y as tf.Tensor4D, skip as tf.Tensor4D, config.concatBalance) : (y as tf.Tensor4D),
          embedding: embedding as tf.Tensor2D,
          ...(dropout && { dropout }),
        });
      const given = { ...ofLayer(weights, spec.name), y, embedding, ...(spec.skip && { skip: skips.pop()! }) };
      y = recompute ? recomputed(run, given) : run(given);
      if (spec.flavor === 'enc') skips.push(y);
    }
    return convolve(weights, 'unet.out_conv', y);
  });
}

/** The embedding of noise level and label that every block gets: [batch, embedding channels]. */
function embed(config: Edm2Config, weights: tf.NamedTensorMap, { noise, labels }: NetworkInput): tf.Tensor2D {
  const features = mpFourier(noise, weights['unet.emb_fourier.freqs']!, weights['unet.emb_fourier.phases']!);
  const ofNoise = multiply(weights, 'unet.emb_noise', features);
  if (!labels) return mpSilu(ofNoise);
  return mpSilu(mpSum(ofNoise, multiply(weights, 'unet.emb_label', labels), config.labelBalance));
}
