import * as tf from '@tensorflow/tfjs-core';
import type { Denoiser } from '../model';
import { type EditingOptions, sampleKnownPart } from './known-part';

/** Options of {@link colourise}. */
export type ColourisationOptions = EditingOptions & {
  /** Grey images [batch, height, width, 1]: the weighted sum of the channels of those sought. */
  readonly images: tf.Tensor4D;
  /** What each channel gives to grey. Default [0.2989, 0.587, 0.114], luma of red, green and blue. */
  readonly weights?: readonly number[];
};

/**
 * Colour images whose grey is the given one (Algorithm 4; A turns each pixel's channels so that the first is along the weights).
 *
 * @throws Error when `images` has more than one channel, all `weights` are 0, or an option does not fit
 */
export function colourise(model: Denoiser, options: ColourisationOptions): tf.Tensor4D {
  const { images, weights = [0.2989, 0.587, 0.114], ...rest } = options;
  if (images.shape[3] !== 1) throw new Error(`colourise: images has ${images.shape[3]} channels, expected 1, grey`);
  const size = weights.reduce((total, weight) => total + weight ** 2, 0);
  if (!(size > 0)) throw new Error(`colourise: weights is [${weights}], expected one that is not 0`);
  return tf.tidy(() => {
    const direction = tf.tensor4d([...weights], [1, 1, 1, weights.length]);
    const withGrey = (grey: tf.Tensor) => tf.mul(grey, tf.div(direction, size)) as tf.Tensor4D;
    const project = (x: tf.Tensor4D) => withGrey(tf.sum(tf.mul(x, direction), 3, true));
    return sampleKnownPart(model, { ...rest, project, known: withGrey(images) });
  });
}
