import * as tf from '@tensorflow/tfjs-core';
import type { TrainingBatch } from './model';

/** An estimate of E[x_0 | x_t] for each row, and numbers worth logging. */
export interface Estimate {
  /** x̂, shaped like the batch's images. The objective frees it. */
  readonly denoised: tf.Tensor4D;
  readonly stats?: Readonly<Record<string, number>>;
}

/**
 * What tells the methods of the consistency family apart: the estimate of E[x_0 | x_t] by which x_t moves to x_r = x̂ + (r/t)(x_t − x̂), the
 * reward of the temporal-difference view (Eq. 8). `noisy` is x_t.
 */
export type Estimator = (batch: TrainingBatch, noisy: tf.Tensor4D) => Estimate;

/**
 * The one-sample estimate x̂ = x_0 of consistency training and tuning (Eq. 11): unbiased, of large variance. x_r is then x_0 + r·ε.
 */
export function oneSampleEstimator(): Estimator {
  return ({ images }) => ({ denoised: tf.clone(images) });
}
