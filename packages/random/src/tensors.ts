import * as tf from '@tensorflow/tfjs-core';
import { bernoulliArray, type IntegerRange, integerArray, normalArray, uniformArray } from './arrays';
import { probability, sizeOf } from './check';
import type { Key } from './key';

/**
 * A float32 tensor of numbers uniform in [0, 1): {@link uniformArray} in row-major order.
 *
 * @throws RangeError when an extent of `shape` is not a whole number.
 */
export function uniform<R extends tf.Rank>(key: Key, shape: tf.ShapeMap[R]): tf.Tensor<R> {
  return tf.tensor(uniformArray(key, sizeOf('uniform', shape)), shape, 'float32');
}

/**
 * A float32 tensor of standard-normal numbers: {@link normalArray} in row-major order.
 *
 * @throws RangeError when an extent of `shape` is not a whole number.
 *
 * @example
 * ```ts
 * import { key, normal } from '@cm/random';
 *
 * console.log(normal(key(0), [2, 8, 8, 3]).shape); // [2, 8, 8, 3]
 * ```
 */
export function normal<R extends tf.Rank>(key: Key, shape: tf.ShapeMap[R]): tf.Tensor<R> {
  return tf.tensor(normalArray(key, sizeOf('normal', shape)), shape, 'float32');
}

/**
 * An int32 tensor of integers uniform in [low, high): {@link integerArray} in row-major order.
 *
 * @throws RangeError when an extent of `shape` is not a whole number, or for a bad range.
 */
export function integers<R extends tf.Rank>(key: Key, shape: tf.ShapeMap[R], range: IntegerRange): tf.Tensor<R> {
  return tf.tensor(integerArray(key, sizeOf('integers', shape), range), shape, 'int32');
}

/**
 * A bool tensor, true with probability `p`.
 *
 * @throws RangeError when an extent of `shape` is not a whole number, or `p` is not in [0, 1].
 */
export function bernoulli<R extends tf.Rank>(key: Key, shape: tf.ShapeMap[R], p: number): tf.Tensor<R> {
  probability('bernoulli', 'p', p);
  return tf.tensor(bernoulliArray(key, sizeOf('bernoulli', shape), p), shape, 'bool');
}
