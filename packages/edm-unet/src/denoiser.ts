import { checkInput, classRows, dropClasses, rowsOf } from '@cm/edm2-unet';
import type { Key } from '@cm/random';
import * as tf from '@tensorflow/tfjs-core';
import type { EdmConfig } from './config';
import { edmNetwork } from './network';
import { coefficients } from './preconditioning';

/**
 * A denoiser D(x, t) over one of EDM's networks.
 *
 * @param x noisy images [batch, resolution, resolution, channels], x_0 + t·ε
 * @param t noise levels [batch], above 0
 * @param labels class indices [batch], int32, for a network with classes; −1 is no class, as in classifier-free guidance
 * @param rows identities of the rows, by which dropout masks are drawn: a subset of a batch, evaluated under its rows'
 *   identities, is dropped as in the whole batch. Default 0, 1, …
 * @param augment augmentation parameters [batch, augmentDim] of a network that was trained with them; without, images are not augmented
 * @returns denoised images, shaped like x
 */
export type EdmDenoiser = (
  x: tf.Tensor4D,
  t: tf.Tensor1D,
  labels?: tf.Tensor | null,
  rows?: ArrayLike<number>,
  augment?: tf.Tensor2D,
) => tf.Tensor4D;

/** Options of {@link edmDenoiser}. */
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
 * The preconditioned denoiser D(x, t) = c_skip·x + c_out·F(c_in·x, c_noise), with the coefficients of the configuration's preconditioning.
 *
 * @param params from {@link fromCheckpoint} or {@link initEdm}; differentiable
 * @throws Error (the returned function) on images of another shape, a number of noise levels, labels or rows that is not the batch's,
 *   labels for a network without classes, none for one with, augmentation parameters of another shape or for a network without them,
 *   or (on backends that compute in main memory) labels out of range
 *
 * @example
 * ```ts
 * import { edmDenoiser, initEdm, songUNetConfig } from '@cm/edm-unet';
 * import { key } from '@cm/random';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * const config = songUNetConfig({ resolution: 8, modelChannels: 8, channelMult: [1], numBlocks: 1, attnResolutions: [] });
 * const denoiser = edmDenoiser(config, initEdm(config, key(0)));
 * console.log(denoiser(tf.zeros([2, 8, 8, 3]), tf.tensor1d([0.5, 10])).shape); // [2, 8, 8, 3]
 * ```
 */
export function edmDenoiser(config: EdmConfig, params: tf.NamedTensorMap, options: DenoiserOptions = {}): EdmDenoiser {
  return (x, t, labels, rows, augment) => {
    checkInput('edmDenoiser', config, x, t, labels);
    const batch = x.shape[0];
    if (augment && augment.shape.join() !== `${batch},${config.augmentDim}`) {
      throw new Error(`edmDenoiser: augment has shape [${augment.shape}], expected [${batch},${config.augmentDim}]`);
    }
    const { dropout } = options;
    const drop = dropout && { key: dropout.key, rows: rowsOf('edmDenoiser', batch, rows) };
    return tf.tidy(() => {
      const c = coefficients(config.preconditioning, t);
      const overPixels = (values: tf.Tensor) => tf.reshape(values, [-1, 1, 1, 1]);
      const classes = (labels: tf.Tensor1D) => {
        const chosen = classRows(labels, config.labelDim);
        return drop ? dropClasses(chosen, { ...drop, rate: dropout.labelRate ?? config.labelDropout }) : chosen;
      };
      const raw = edmNetwork(config, params, {
        x: tf.mul(x, overPixels(c.in)),
        noise: c.noise,
        ...(labels && { classes: classes(labels as tf.Tensor1D) }),
        ...(augment && { augment }),
        recompute: options.recompute ?? false,
        ...(drop && { dropout: { ...drop, rate: dropout.rate ?? config.dropout } }),
      });
      // Improved DDPM's second half of channels is a variance, which a denoiser has no use for.
      const image = raw.shape[3] === config.channels ? raw : tf.slice(raw, [0, 0, 0, 0], [-1, -1, -1, config.channels]);
      return tf.add(tf.mul(x, overPixels(c.skip)), tf.mul(image, overPixels(c.out))) as tf.Tensor4D;
    });
  };
}
