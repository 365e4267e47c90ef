import type * as tf from '@tensorflow/tfjs-core';
import type { Denoiser, SampleOptions } from '../model';
import { run } from '../run';
import type { Solver } from '../solver';

/**
 * One-step sampling: D(σ_max·ε, σ_max). One evaluation.
 *
 * @example
 * ```ts
 * import { key } from '@cm/random';
 * import { sampleOneStep } from '@cm/samplers';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * const model = (x: tf.Tensor4D, t: tf.Tensor1D) =>
 *   tf.mul(x, tf.div(0.25, tf.add(tf.square(tf.reshape(t, [-1, 1, 1, 1])), 0.25))) as tf.Tensor4D; // data N(0, 0.25)
 *
 * const images = sampleOneStep(model, { shape: [4, 8, 8, 1], key: key(0) });
 * const second = sampleOneStep(model, { shape: [1, 8, 8, 1], key: key(0), seeds: [1] }); // the second of them alone
 * console.log(tf.max(tf.abs(tf.sub(second, tf.slice(images, 1, 1)))).arraySync()); // 0
 * ```
 */
export function sampleOneStep(model: Denoiser, options: SampleOptions): tf.Tensor4D {
  return sampleMultistep(model, { ...options, middle: [] });
}

/** Middle noise levels of two-step sampling in the recipes of ECT and SCT. */
export const middleLevels = { cifar10: [0.821], imagenet64: [1.526] } as const;

/** Options of {@link sampleMultistep}. */
export interface MultistepOptions extends SampleOptions {
  /** Noise levels between the first step and the end, falling, such as those of {@link middleLevels}. */
  readonly middle: readonly number[];
}

/**
 * Stochastic multistep sampling of a consistency model: denoise, add fresh noise of the next level, denoise, …
 * One evaluation a level, `middle.length + 1` in all.
 *
 * @throws Error when levels do not fall from sigmaMax, or an option does not fit
 * @see Song et al., Consistency Models (arXiv 2303.01469), Algorithm 1
 *
 * @example
 * ```ts
 * import { key } from '@cm/random';
 * import { middleLevels, sampleMultistep } from '@cm/samplers';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * const model = (x: tf.Tensor4D, t: tf.Tensor1D) =>
 *   tf.mul(x, tf.div(0.25, tf.add(tf.square(tf.reshape(t, [-1, 1, 1, 1])), 0.25))) as tf.Tensor4D; // data N(0, 0.25)
 *
 * const levels: number[] = [];
 * const images = sampleMultistep(model, {
 *   shape: [4, 8, 8, 1],
 *   key: key(0),
 *   middle: middleLevels.cifar10,
 *   onStep: ({ noiseLevel }) => levels.push(noiseLevel), // after each step
 * });
 * console.log(images.shape, levels); // [4, 8, 8, 1] [0.821, 0]
 * ```
 */
export function sampleMultistep(model: Denoiser, options: MultistepOptions): tf.Tensor4D {
  const { middle, sigmaMax = 80 } = options;
  middle.forEach((value, i) => {
    const above = middle[i - 1] ?? sigmaMax;
    if (!(value > 0 && value < above)) {
      throw new Error(`sampleMultistep: middle[${i}] is ${value}, expected above 0 and below ${above}`);
    }
  });
  return run('sampleMultistep', model, options, { levels: [sigmaMax, ...middle, 0], solver: renoise });
}

/** x_s = D(x_t, t) + s·ε, ε fresh. */
const renoise: Solver = (space, { x }, { from, to }) => ({
  x: space.sum([1, space.denoise(x, from)], [to, space.noise()]),
  memory: [],
});
