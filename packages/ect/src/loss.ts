import * as tf from '@tensorflow/tfjs-core';
import { expectShape } from './check';
import type { Metric } from './metrics';
import type { ConsistencyModel } from './model';
import type { ConsistencyTarget } from './target';

/**
 * The consistency loss: the mean over rows of weight·metric(D(x_t, t), target). Differentiable in whatever `model` is made from.
 *
 * With phases the metric is between the student's and the teacher's x_s (Eq. 16). Their common (s/t)·x_t is left out on both sides, so that
 * it compares (1 − s/t)·D(x_t, t) with (1 − s/t)·target: the same for every metric of the difference, and without cancellation. Near an edge
 * 1/(t − r) grows as fast as that distance shrinks, and no row outweighs the others.
 *
 * The rows' places in the batch are passed to the model, as to the teacher, so that both drop the same activations.
 *
 * @returns a scalar, the caller's to free
 * @throws Error when the model's or the metric's result has another shape than expected
 *
 * @example
 * ```ts
 * import { consistencyLoss, consistencyTarget, l2, oneSampleEstimator } from '@cm/ect';
 * import { inverseGap, progressiveSchedule } from '@cm/schedules';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * const target = consistencyTarget({
 *   teacher: (x) => tf.mul(x, 0.5), // yours: the student, or its average
 *   batch: { images: tf.ones([3, 2, 2, 1]), noise: tf.zeros([3, 2, 2, 1]), t: [0.1, 1, 10] },
 *   estimator: oneSampleEstimator(),
 *   schedule: progressiveSchedule({ q: 2, d: 25_000 }),
 *   weighting: inverseGap(),
 *   iteration: 30_000,
 * });
 * const student = (x: tf.Tensor4D) => tf.mul(x, 0.5) as tf.Tensor4D;
 * console.log(consistencyLoss(student, target, { metric: l2() }).arraySync()); // 3.33
 * ```
 */
export function consistencyLoss(
  model: ConsistencyModel,
  { noisy, t, condition, target, reach, weights, pairs }: ConsistencyTarget,
  { metric }: { readonly metric: Metric },
): tf.Scalar {
  return tf.tidy(() => {
    const denoised = model(noisy, t, condition, [...pairs.keys()]);
    expectShape('consistencyLoss', "the model's result", denoised, target.shape);
    const atEdge = (x: tf.Tensor4D) => (reach ? (tf.mul(x, tf.reshape(reach, [-1, 1, 1, 1])) as tf.Tensor4D) : x);
    const distances = metric(atEdge(denoised), atEdge(target));
    expectShape('consistencyLoss', "the metric's result", distances, weights.shape);
    return tf.mean(tf.mul(distances, weights)) as tf.Scalar;
  });
}
