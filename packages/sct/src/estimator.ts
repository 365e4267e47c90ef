import type { Estimator, TrainingBatch } from '@cm/ect';
import { type ReferenceSet, referenceSet, stableTarget } from '@cm/stable-target';
import * as tf from '@tensorflow/tfjs-core';

/** Clean images of all processes that train together, for a step. */
export interface GatheredReferences {
  /** [rows of all processes, height, width, channels]. The estimator frees it. */
  readonly images: tf.Tensor;
  /** Class of each, where the target is class-conditional. */
  readonly labels?: ArrayLike<number>;
  /** Where each row of this process's batch is among them. */
  readonly ownIndex: ArrayLike<number>;
}

/**
 * Gathers the global batch: this process's rows and those of all others. A gather that has to be awaited is awaited before the step, and what came
 * is returned here.
 */
export type GatherReferences = (batch: TrainingBatch) => GatheredReferences;

/** Options of {@link stableTargetEstimator}. */
export interface StableTargetEstimatorOptions {
  /**
   * What the posterior mean is taken over: a set, such as the whole training data; the batch itself (the paper's default); or the batch of all
   * processes.
   */
  readonly references: ReferenceSet | 'batch' | GatherReferences;
  /** Whether only references of a row's own class count (class-conditional training, section 4.1). Needs `labels` in the batch. Default false. */
  readonly classConditional?: boolean;
  /**
   * Log-weights of the references for a batch, [references] or [batch, references]: a soft condition, such as the similarity of captions
   * (section 4.1). The estimator frees them. Not together with `classConditional`.
   */
  readonly logPrior?: (batch: TrainingBatch) => tf.Tensor1D | tf.Tensor2D;
}

/**
 * The estimate by which SCT differs from ECT: the posterior mean x̂ = Σ W_i·x_0^i over reference samples (Eq. 13, 14) in place of the one sample.
 *
 * With a set, the batch's `indices` say which reference is each row's own sample; without them, or at −1 where the row was augmented, the own
 * sample is added to the references. Logs `effectiveSampleSize`, its mean over rows, and leaves it on the backend.
 *
 * @throws Error (the estimator) when it is class-conditional and the batch has no labels, or what `stableTarget` throws
 *
 * @example
 * ```ts
 * import { consistencyTarget } from '@cm/ect';
 * import { inverseGap, progressiveSchedule, smoother } from '@cm/schedules';
 * import { stableTargetEstimator } from '@cm/sct';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * const images = tf.tensor4d([-1, 0, 1], [3, 1, 1, 1]);
 * const target = consistencyTarget({
 *   teacher: (x) => tf.mul(x, 0.5), // yours
 *   batch: { images, noise: tf.zerosLike(images), t: [0.1, 1, 80] },
 *   estimator: stableTargetEstimator({ references: 'batch' }),
 *   schedule: progressiveSchedule(smoother({ q: 2, d: 25_000 })),
 *   weighting: inverseGap({ delta: 1e-4 }),
 *   iteration: 0,
 * });
 * console.log(target.stats.effectiveSampleSize); // 2.27
 * target.dispose();
 * ```
 */
export function stableTargetEstimator(options: StableTargetEstimatorOptions): Estimator {
  const { references, classConditional = false, logPrior } = options;
  return (batch) => {
    const { images, noise, t, labels, indices } = batch;
    if (classConditional && !labels)
      throw new Error('stableTargetEstimator: the batch has no labels, expected them for classConditional');
    const gathered = typeof references === 'function' ? references(batch) : undefined;
    const global = gathered && referenceSet(gathered);
    const ownIndex = gathered?.ownIndex ?? (references === 'batch' ? undefined : indices);
    const prior = logPrior?.(batch);
    try {
      const { posteriorMean, epsilon, effectiveSampleSize, posteriorVariance } = stableTarget({
        references: global ?? (references as ReferenceSet | 'batch'),
        x0: images,
        noise,
        t,
        ...(ownIndex && { ownIndex }),
        ...(classConditional && labels && { labels }),
        ...(prior && { logPrior: prior }),
      });
      const size = tf.mean(effectiveSampleSize) as tf.Scalar;
      tf.dispose([epsilon, effectiveSampleSize, posteriorVariance]);
      return { denoised: posteriorMean as tf.Tensor4D, stats: { effectiveSampleSize: size } };
    } finally {
      global?.dispose();
      tf.dispose([gathered?.images ?? [], prior ?? []]);
    }
  };
}
