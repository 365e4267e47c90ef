import type * as tf from '@tensorflow/tfjs-core';
import type { Denoiser, SampleOptions } from '../model';
import { type LevelOptions, levelsOf } from '../noise-levels';
import { run } from '../run';
import type { Solver } from '../solver';
import { type ChurnOptions, churn } from './churn';

/** x_s = D + (s/t)(x_t − D): exact where D is constant along the path. */
export const euler: Solver = (space, { x }, { from, to }) => ({
  x: space.sum([to / from, x], [1 - to / from, space.denoise(x, from)]),
  memory: [],
});

/** Options of samplers of diffusion models: noise levels are `levels`, or a Karras grid of `steps`. */
export type DiffusionOptions = SampleOptions & LevelOptions;

/**
 * Euler's method on the probability-flow ODE dx/dt = (x − D(x, t))/t, which is DDIM: order 1. One evaluation a step.
 *
 * @throws Error when an option does not fit
 * @see Song et al., Denoising Diffusion Implicit Models (arXiv 2010.02502); Karras et al. (arXiv 2206.00364)
 *
 * @example
 * ```ts
 * import { key } from '@cm/random';
 * import { sampleEuler } from '@cm/samplers';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * const model = (x: tf.Tensor4D, t: tf.Tensor1D) =>
 *   tf.mul(x, tf.div(0.25, tf.add(tf.square(tf.reshape(t, [-1, 1, 1, 1])), 0.25))) as tf.Tensor4D; // data N(0, 0.25)
 *
 * const images = sampleEuler(model, { shape: [64, 8, 8, 1], key: key(0), levels: [80, 10, 1, 0.1, 0] });
 * console.log(tf.moments(images).variance.arraySync()); // 0.0755
 * ```
 */
export function sampleEuler(model: Denoiser, options: DiffusionOptions & ChurnOptions): tf.Tensor4D {
  const levels = levelsOf('sampleEuler', options);
  return run('sampleEuler', model, options, { levels, solver: euler, before: churn('sampleEuler', levels, options) });
}
