import type * as tf from '@tensorflow/tfjs-core';
import type { Denoiser, SampleOptions } from '../model';
import { run } from '../run';
import type { Solver } from '../solver';

/** One-step sampling: D(σ_max·ε, σ_max). One evaluation. */
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
