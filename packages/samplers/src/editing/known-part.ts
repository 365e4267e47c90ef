import * as tf from '@tensorflow/tfjs-core';
import { type MultistepOptions, sampleMultistep } from '../consistency/multistep';
import type { Denoiser } from '../model';

/** What is known of the images sought: a linear part of them. */
export interface KnownPart {
  /** The orthogonal projection P onto that part, a new tensor. */
  readonly project: (images: tf.Tensor4D) => tf.Tensor4D;
  /** P(y) of the images y sought. */
  readonly known: tf.Tensor4D;
}

/**
 * A denoiser whose answers have the known part: D + P(y) − P(D). With an orthogonal operator A and a mask Ω, P = Aᵀ(1 − Ω)A, this is
 * the replacement A⁻¹[(Ay)⊙(1 − Ω) + (AD)⊙Ω] of the consistency models paper. Any sampler runs on it.
 */
export function keepKnown(model: Denoiser, { project, known }: KnownPart): Denoiser {
  return (x, t, condition) =>
    tf.tidy(() => {
      const denoised = model(x, t, condition);
      return tf.add(known, tf.sub(denoised, project(denoised))) as tf.Tensor4D;
    });
}

/** Options of the editing functions: the shape is that of the images, and their known part is what noise is first added to. */
export type EditingOptions = Omit<MultistepOptions, 'shape' | 'start'>;

/**
 * Zero-shot editing with a consistency model: multistep sampling from the known part and noise, the known part put back after every
 * evaluation. `middle.length + 1` evaluations. The fresh noise of a level t is t·ε; the paper's √(t² − ε²) is for models that end at ε above 0.
 *
 * @throws Error when an option does not fit
 * @see Song et al., Consistency Models (arXiv 2303.01469), Algorithm 4
 */
export function sampleKnownPart(model: Denoiser, options: EditingOptions & KnownPart): tf.Tensor4D {
  const { project, known, ...rest } = options;
  return sampleMultistep(keepKnown(model, { project, known }), { ...rest, shape: known.shape, start: known });
}
