import * as tf from '@tensorflow/tfjs-core';
import type { Denoiser } from '../model';
import { type EditingOptions, sampleKnownPart } from './known-part';

/** Options of {@link inpaint}. */
export type InpaintingOptions = EditingOptions & {
  /** The images to complete, [batch, height, width, channels]. What they have under the mask is not looked at. */
  readonly images: tf.Tensor4D;
  /** Ω: 1 where images are to be filled in, 0 where they are known; of the images' shape, or 1 along axes that share it. */
  readonly mask: tf.Tensor4D;
};

/**
 * Fills in the masked pixels of images with a consistency model (Algorithm 4 with A = 1).
 *
 * @throws Error when the mask does not fit the images, or an option does not fit
 *
 * @example
 * ```ts
 * import { key } from '@cm/random';
 * import { inpaint } from '@cm/samplers';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * const model = (x: tf.Tensor4D, t: tf.Tensor1D) =>
 *   tf.mul(x, tf.div(0.25, tf.add(tf.square(tf.reshape(t, [-1, 1, 1, 1])), 0.25))) as tf.Tensor4D; // data N(0, 0.25)
 *
 * const images = tf.ones([1, 2, 2, 1]) as tf.Tensor4D;
 * const mask = tf.tensor4d([0, 0, 0, 1], [1, 2, 2, 1]); // the last pixel is to be filled in
 * const filled = inpaint(model, { images, mask, key: key(0), middle: [10, 1] });
 * console.log(Array.from(filled.dataSync()).slice(0, 3)); // [1, 1, 1]
 * ```
 */
export function inpaint(model: Denoiser, options: InpaintingOptions): tf.Tensor4D {
  const { images, mask, ...rest } = options;
  if (!mask.shape.every((extent, i) => extent === 1 || extent === images.shape[i])) {
    throw new Error(`inpaint: mask has shape [${mask.shape}], expected [${images.shape}], or 1 along an axis`);
  }
  return tf.tidy(() => {
    const kept = tf.sub(1, mask);
    const project = (x: tf.Tensor4D) => tf.mul(x, kept) as tf.Tensor4D;
    return sampleKnownPart(model, { ...rest, project, known: project(images) });
  });
}
