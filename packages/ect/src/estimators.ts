import type { NoisePair } from '@cm/schedules';
import * as tf from '@tensorflow/tfjs-core';
import type { TrainingBatch } from './model';

/** An estimate of E[x_0 | x_t] for each row, and numbers worth logging. */
export interface Estimate {
  /** x̂, shaped like the batch's images. The objective frees it. */
  readonly denoised: tf.Tensor4D;
  /** Scalars stay on the backend until the objective reads all of them at once, and frees them. */
  readonly stats?: Readonly<Record<string, number | tf.Scalar>>;
}

/**
 * What tells the methods of the consistency family apart: the estimate of E[x_0 | x_t] by which x_t moves to x_r = x̂ + (r/t)(x_t − x̂), the
 * reward of the temporal-difference view (Eq. 8). `noisy` is x_t; the batch's `t` are those of `pairs`, which also say each row's r.
 */
export type Estimator = (batch: TrainingBatch, noisy: tf.Tensor4D, pairs: readonly NoisePair[]) => Estimate;

/**
 * The one-sample estimate x̂ = x_0 of consistency training and tuning (Eq. 11): unbiased, of large variance. x_r is then x_0 + r·ε.
 */
export function oneSampleEstimator(): Estimator {
  return ({ images }) => ({ denoised: tf.clone(images) });
}
