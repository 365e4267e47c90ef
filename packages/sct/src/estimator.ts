import type { Estimator } from '@cm/ect';
import { type ReferenceSet, stableTarget } from '@cm/stable-target';
import * as tf from '@tensorflow/tfjs-core';

/** Options of {@link stableTargetEstimator}. */
export interface StableTargetEstimatorOptions {
  /** What the posterior mean is taken over: a set, such as the whole training data, or the batch itself (the paper's default). */
  readonly references: ReferenceSet | 'batch';
  /** Whether only references of a row's own class count (class-conditional training, section 4.1). Needs `labels` in the batch. Default false. */
  readonly classConditional?: boolean;
}

/**
 * The estimate by which SCT differs from ECT: the posterior mean x̂ = Σ W_i·x_0^i over reference samples (Eq. 13, 14) in place of the one sample.
 *
 * With a set, the batch's `indices` say which reference is each row's own sample; without them, or at −1, the own sample is added to the
 * references. Logs `effectiveSampleSize`, its mean over rows, and leaves it on the backend.
 *
 * @throws Error (the estimator) when it is class-conditional and the batch has no labels
 */
export function stableTargetEstimator({
  references,
  classConditional = false,
}: StableTargetEstimatorOptions): Estimator {
  return ({ images, noise, t, labels, indices }) => {
    if (classConditional && !labels)
      throw new Error('stableTargetEstimator: the batch has no labels, expected them for classConditional');
    const { posteriorMean, epsilon, effectiveSampleSize, posteriorVariance } = stableTarget({
      references,
      x0: images,
      noise,
      t,
      ...(references !== 'batch' && indices && { ownIndex: indices }),
      ...(classConditional && labels && { labels }),
    });
    const size = tf.mean(effectiveSampleSize) as tf.Scalar;
    tf.dispose([epsilon, effectiveSampleSize, posteriorVariance]);
    return { denoised: posteriorMean as tf.Tensor4D, stats: { effectiveSampleSize: size } };
  };
}
