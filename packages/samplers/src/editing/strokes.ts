import type * as tf from '@tensorflow/tfjs-core';
import { sampleMultistep } from '../consistency/multistep';
import type { Denoiser } from '../model';
import type { EditingOptions } from './known-part';

/** Options of {@link fromStrokes}. */
export type StrokesOptions = Omit<EditingOptions, 'sigmaMax'> & {
  /** Painted images, [batch, height, width, channels]. */
  readonly images: tf.Tensor4D;
  /** The noise level added to them: small keeps the strokes, large lets the model decide. */
  readonly sigmaMax: number;
};

/**
 * Images that follow painted strokes: as much noise as hides the paint, then multistep sampling (Algorithm 4 with all of the image masked,
 * SDEdit for consistency models). `middle.length + 1` evaluations.
 *
 * @throws Error when an option does not fit
 * @see Meng et al., SDEdit (arXiv 2108.01073)
 */
export function fromStrokes(model: Denoiser, options: StrokesOptions): tf.Tensor4D {
  const { images, ...rest } = options;
  return sampleMultistep(model, { ...rest, shape: images.shape, start: images });
}
