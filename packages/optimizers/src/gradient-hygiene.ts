import * as tf from '@tensorflow/tfjs-core';
import { mapTensors } from './maps';

/**
 * Gradients with NaN and ±∞ replaced by 0, and how many values that were. New tensors; the count is read from the backend once.
 *
 * @example
 * ```ts
 * import { cleanGradients } from '@cm/optimizers';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * const { grads, count } = cleanGradients({ w: tf.tensor1d([1, NaN, Infinity]) });
 * console.log(grads.w!.arraySync(), count); // [1, 0, 0] 2
 * ```
 */
export function cleanGradients(grads: tf.NamedTensorMap): { grads: tf.NamedTensorMap; count: number } {
  const bad = tf.tidy(() => {
    const counts = Object.values(grads).map((g) => tf.sum(tf.cast(tf.logicalNot(tf.isFinite(g)), 'float32')));
    return counts.length > 0 ? tf.sum(tf.stack(counts)) : tf.scalar(0);
  });
  const count = bad.dataSync()[0]!;
  tf.dispose(bad);
  const clean = (g: tf.Tensor) => (count === 0 ? tf.clone(g) : tf.where(tf.isFinite(g), g, tf.zerosLike(g)));
  return { grads: mapTensors(grads, clean), count };
}

/** The Euclidean norm of all gradients taken as one vector: a scalar on the backend. */
export function globalNorm(grads: tf.NamedTensorMap): tf.Scalar {
  return tf.tidy(() => {
    const squares = Object.values(grads).map((g) => tf.sum(tf.square(g)));
    return tf.sqrt(squares.length > 0 ? tf.sum(tf.stack(squares)) : tf.scalar(0)) as tf.Scalar;
  });
}

/**
 * Gradients scaled by min(1, maxNorm/norm), norm being their {@link globalNorm}. New tensors, nothing is read from the backend.
 *
 * @throws Error when `maxNorm` is not above 0
 *
 * @example
 * ```ts
 * import { clipByGlobalNorm } from '@cm/optimizers';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * const { a, b } = clipByGlobalNorm({ a: tf.tensor1d([3]), b: tf.tensor1d([4]) }, 1);
 * console.log(a!.arraySync(), b!.arraySync()); // [0.6] [0.8]
 * ```
 */
export function clipByGlobalNorm(grads: tf.NamedTensorMap, maxNorm: number): tf.NamedTensorMap {
  if (!(maxNorm > 0)) throw new Error(`clipByGlobalNorm: maxNorm is ${maxNorm}, expected above 0`);
  const scale = tf.tidy(() => tf.minimum(1, tf.div(maxNorm, tf.maximum(globalNorm(grads), 1e-30))));
  const clipped = mapTensors(grads, (g) => tf.mul(g, scale));
  tf.dispose(scale);
  return clipped;
}
