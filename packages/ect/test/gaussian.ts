import { unit } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import type { ConsistencyModel } from '../src';

/** Standard deviation s of data x_0 ~ N(0, s²), whose denoiser and ODE are known. */
export const deviation = 0.5;

export const shape: [number, number, number, number] = [5, 2, 2, 1];

export const tensor = (name: string, of: readonly number[] = shape) =>
  tf.tensor4d(unit(name, of), of as [number, number, number, number]);

export const batch = () => ({
  images: tf.mul(tensor('x0'), deviation) as tf.Tensor4D,
  noise: tensor('noise'),
  t: [0.05, 0.3, 1, 4, 40],
});

/** Values of rows, [batch, 1, 1, 1]. */
export const levels = (values: ArrayLike<number>) => tf.reshape(tf.tensor1d(Array.from(values)), [-1, 1, 1, 1]);

const variance = (t: tf.Tensor) => tf.add(tf.square(tf.reshape(t, [-1, 1, 1, 1])), deviation ** 2);

/** E[x_0 | x_t] = x_t·s²/(s² + t²). */
export const posteriorMean: ConsistencyModel = (x, t) => tf.mul(x, tf.div(deviation ** 2, variance(t))) as tf.Tensor4D;

/** Where the ODE leads from x_t: x_t·√((s² + e²)/(s² + t²)) at noise level e, so x_t·s/√(s² + t²) at 0. */
export const endOfPath: ConsistencyModel = (x, t) => tf.mul(x, tf.mul(deviation, tf.rsqrt(variance(t)))) as tf.Tensor4D;
