import * as tf from '@tensorflow/tfjs-core';
import { whole } from '../check';
import type { Denoiser } from '../model';
import { type EditingOptions, sampleKnownPart } from './known-part';

/** Options of {@link superResolve}. */
export type SuperResolutionOptions = EditingOptions & {
  /** Small images, [batch, height, width, channels]: the means over the squares of those sought. */
  readonly images: tf.Tensor4D;
  /** How many times larger the images sought are, each way. */
  readonly factor: number;
};

/**
 * Images [batch, height·factor, width·factor, channels] whose means over squares are the given small ones (Algorithm 4; A turns each square's pixels
 * so that the first is along their mean).
 *
 * @throws Error when `factor` is not a whole number above 1, or an option does not fit
 */
export function superResolve(model: Denoiser, options: SuperResolutionOptions): tf.Tensor4D {
  const { images, factor, ...rest } = options;
  whole('superResolve', 'factor', factor, 2);
  const [, height, width] = images.shape;
  const enlarge = (small: tf.Tensor4D) => tf.image.resizeNearestNeighbor(small, [height * factor, width * factor]);
  const project = (x: tf.Tensor4D) => enlarge(tf.avgPool(x, factor, factor, 'valid'));
  return tf.tidy(() => sampleKnownPart(model, { ...rest, project, known: enlarge(images) }));
}
