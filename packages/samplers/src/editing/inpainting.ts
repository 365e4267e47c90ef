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
