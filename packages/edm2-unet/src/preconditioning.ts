import type { Key } from '@cm/random';
import * as tf from '@tensorflow/tfjs-core';
import type { Edm2Config } from './config';
import { checkInput, classRows, dropClasses, rowsOf } from './input';
import { mpFourier } from './magnitude-preserving';
import { edm2Network } from './network';

/**
 * A denoiser D(x, t) over the EDM2 network.
 *
 * @param x noisy images [batch, resolution, resolution, channels], x_0 + t·ε
 * @param t noise levels [batch], above 0
 * @param labels class indices [batch], int32, for a network with classes; −1 is no class, as in classifier-free guidance
 * @param rows identities of the rows, by which dropout masks are drawn: a subset of a batch, evaluated under its rows'
 *   identities, is dropped as in the whole batch. Default 0, 1, …
 * @returns denoised images, shaped like x
 */
export type Edm2Denoiser = (
  x: tf.Tensor4D,
  t: tf.Tensor1D,
  labels?: tf.Tensor | null,
  rows?: ArrayLike<number>,
) => tf.Tensor4D;

/** Options of {@link edm2Denoiser}. */
export interface DenoiserOptions {
  /**
   * Dropout, for training: masks are drawn from `key`. Default: none. `rate`, of activations, defaults to the configuration's `dropout`;
   * `labelRate`, with which a row loses its class, to its `labelDropout`.
   */
  readonly dropout?: { readonly key: Key; readonly rate?: number; readonly labelRate?: number };
  /**
   * Activation checkpointing: the backward pass computes every block again instead of keeping its activations, which saves most of a
   * training step's memory for a third more computation. Default false.
   */
  readonly recompute?: boolean;
}

/**
 * The preconditioned denoiser D(x, t) = c_skip·x + c_out·F(c_in·x, ln(t)/4), with EDM's coefficients (Karras et al. 2022, Table 1):
 * c_skip = σ_d²/(t² + σ_d²), c_out = t·σ_d/√(t² + σ_d²), c_in = 1/√(t² + σ_d²).
 *
 * @param weights from `normalizeWeights`; differentiable
 * @throws Error (the returned function) on images of another shape, a number of noise levels or labels that is not the batch's,
 *   labels for a network without classes, none for one with, or (on backends that compute in main memory) labels out of range
 *
 * @example
 * ```ts
 * import { edm2Config, edm2Denoiser, initEdm2, normalizeWeights } from '@cm/edm2-unet';
 * import { key, normal } from '@cm/random';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * const config = edm2Config({ resolution: 8, modelChannels: 8, channelMult: [1], numBlocks: 1, channelsPerHead: 8 });
 * const { weights } = normalizeWeights(config, initEdm2(config, key(0)));
 * const denoised = edm2Denoiser(config, weights)(normal(key(1), [2, 8, 8, 3]) as tf.Tensor4D, tf.tensor1d([0.5, 10]));
 * console.log(denoised.shape); // [2, 8, 8, 3]
 * ```
 */
export function edm2Denoiser(
  config: Edm2Config,
  weights: tf.NamedTensorMap,
  options: DenoiserOptions = {},
): Edm2Denoiser {
  const { sigmaData } = config;
  return (x, t, labels, rows) => {
    checkInput('edm2Denoiser', config, x, t, labels);
    const { dropout } = options;
    const drop = dropout && { key: dropout.key, rows: rowsOf('edm2Denoiser', x.shape[0], rows) };
    return tf.tidy(() => {
      const variance = tf.add(tf.square(t), sigmaData ** 2);
      const overPixels = (values: tf.Tensor) => tf.reshape(values, [-1, 1, 1, 1]);
      const classes = (labels: tf.Tensor1D) => {
        const chosen = classRows(labels, config.labelDim);
        return drop ? dropClasses(chosen, { ...drop, rate: dropout.labelRate ?? config.labelDropout }) : chosen;
      };
      const raw = edm2Network(config, weights, {
        x: tf.mul(x, overPixels(tf.rsqrt(variance))),
        noise: tf.div(tf.log(t), 4),
        ...(labels && { labels: tf.mul(classes(labels as tf.Tensor1D), Math.sqrt(config.labelDim)) as tf.Tensor2D }),
        recompute: options.recompute ?? false,
        ...(drop && { dropout: { ...drop, rate: dropout.rate ?? config.dropout } }),
      });
      const skip = overPixels(tf.div(sigmaData ** 2, variance));
      const out = overPixels(tf.mul(tf.mul(t, sigmaData), tf.rsqrt(variance)));
      return tf.add(tf.mul(x, skip), tf.mul(raw, out)) as tf.Tensor4D;
    });
  };
}

/**
 * Log-variance of the denoising error at noise levels t [batch], as EDM2's uncertainty head predicts it (section 3.2): [batch].
 *
 * @throws Error for a network without that head
 */
export function edm2LogVariance(weights: tf.NamedTensorMap, t: tf.Tensor1D): tf.Tensor1D {
  const head = weights['logvar_linear.weight'];
  if (!head)
    throw new Error('edm2LogVariance: weights have no logvar_linear.weight: the network has no uncertainty head');
  return tf.tidy(() => {
    const features = mpFourier(
      tf.div(tf.log(t), 4),
      weights['logvar_fourier.freqs']!,
      weights['logvar_fourier.phases']!,
    );
    return tf.reshape(tf.matMul(features, head as tf.Tensor2D, false, true), [-1]);
  });
}
