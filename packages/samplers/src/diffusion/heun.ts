import type * as tf from '@tensorflow/tfjs-core';
import type { Denoiser } from '../model';
import { levelsOf } from '../noise-levels';
import { run } from '../run';
import type { Solver } from '../solver';
import { type ChurnOptions, churn } from './churn';
import type { DiffusionOptions } from './euler';

/** Heun's step: the mean of the slopes (x − D)/t at both ends. */
export const heun: Solver = (space, { x }, { from, to }) => {
  const here = space.denoise(x, from);
  const h = to - from;
  const there = space.sum([to / from, x], [1 - to / from, here]);
  const [a, b] = [h / (2 * from), h / (2 * to)];
  return { x: space.sum([1 + a, x], [-a, here], [b, there], [-b, space.denoise(there, to)]), memory: [] };
};

/**
 * EDM's sampler of diffusion models (Karras et al., arXiv 2206.00364, Algorithm 1; with churn Algorithm 2): the probability-flow ODE
 * dx/dt = (x − D(x, t))/t by Heun's second-order steps; the step to 0 is Euler's. 2·steps − 1 evaluations.
 *
 * @throws Error when an option does not fit
 *
 * @example
 * ```ts
 * import { key } from '@cm/random';
 * import { sampleHeun } from '@cm/samplers';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * const model = (x: tf.Tensor4D, t: tf.Tensor1D) =>
 *   tf.mul(x, tf.div(0.25, tf.add(tf.square(tf.reshape(t, [-1, 1, 1, 1])), 0.25))) as tf.Tensor4D; // data N(0, 0.25)
 *
 * let evaluations = 0;
 * const counted = (x: tf.Tensor4D, t: tf.Tensor1D) => {
 *   evaluations++;
 *   return model(x, t);
 * };
 * const images = sampleHeun(counted, { shape: [64, 8, 8, 1], key: key(0), steps: 18 });
 * console.log(evaluations, tf.moments(images).variance.arraySync()); // 35 0.277
 * ```
 */
export function sampleHeun(model: Denoiser, options: DiffusionOptions & ChurnOptions): tf.Tensor4D {
  const levels = levelsOf('sampleHeun', options);
  return run('sampleHeun', model, options, { levels, solver: heun, before: churn('sampleHeun', levels, options) });
}
