import type * as tf from '@tensorflow/tfjs-core';
import { fraction } from '../check';
import type { Denoiser } from '../model';
import { levelsOf } from '../noise-levels';
import { run } from '../run';
import type { Solver } from '../solver';
import { ancestral, type RandomnessOptions } from './ancestral';
import type { DiffusionOptions } from './euler';
import { exponentialMoment, exponentialWeights } from './exponential';

// The DPM-Solver++ methods integrate the data prediction D over λ = −ln t: with h = ln(t/s) the exact solution is
// x_s = (s/t)·x_t + ∫₀ʰ e^(v−h)·D dv, and with a share η of the diffusion's randomness (the SDE variants)
// x_s = (s/t)·e^(−ηh)·x_t + (1 + η)·∫₀ʰ e^((1+η)(v−h))·D dv + s·√(1 − e^(−2ηh))·z.

/** 2S, r = 1/2: the data prediction at the geometric mean of both levels stands for the whole step. */
export const dpmPlusPlus2S: Solver = (space, { x }, { from, to }) => {
  const middle = Math.sqrt(from * to);
  const there = space.sum([middle / from, x], [1 - middle / from, space.denoise(x, from)]);
  return { x: space.sum([to / from, x], [1 - to / from, space.denoise(there, middle)]), memory: [] };
};

/** 2M and 3M: data predictions of earlier steps, from which D is extrapolated over the step. */
export function dpmPlusPlusMultistep(order: 2 | 3, eta = 0): Solver {
  return (space, { x, memory }, { from, to, earlier }) => {
    const denoised = [space.denoise(x, from), ...memory].slice(0, order);
    const h = Math.log(from / to);
    const H = (1 + eta) * h;
    const nodes = denoised.map((_, i) => (i === 0 ? 0 : Math.log(from / earlier[i - 1]!) / h));
    const weights = order === 2 ? midpointWeights(nodes, H) : exponentialWeights(nodes, H);
    const known = space.sum(
      [(to / from) * Math.exp(-eta * h), x],
      ...denoised.map((image, i) => [weights[i]!, image] as const),
    );
    const up = to * Math.sqrt(-Math.expm1(-2 * eta * h));
    return { x: eta === 0 ? known : space.sum([1, known], [up, space.noise()]), memory: denoised };
  };
}

/** The paper's weights: D extrapolated to the middle of the step. */
function midpointWeights([, before]: readonly number[], H: number): number[] {
  const whole = exponentialMoment(0, H);
  if (before === undefined) return [whole];
  return [whole * (1 - 1 / (2 * before)), whole / (2 * before)];
}

/**
 * DPM-Solver++(2S): order 2. Two evaluations a step, one for the step to 0: 2·steps − 1. With η above 0 its steps are ancestral.
 *
 * @throws Error when η (default 0) is not from 0 to 1, or another option does not fit
 * @see Lu et al., DPM-Solver++ (arXiv 2211.01095), Algorithm 1
 */
export function sampleDpmPlusPlus2S(model: Denoiser, options: DiffusionOptions & RandomnessOptions): tf.Tensor4D {
  const where = 'sampleDpmPlusPlus2S';
  const { eta = 0 } = options;
  fraction(where, 'eta', eta);
  return run(where, model, options, { levels: levelsOf(where, options), solver: ancestral(dpmPlusPlus2S, eta) });
}

/**
 * DPM-Solver++(2M), and SDE-DPM-Solver++(2M) with η above 0 (1 is the paper's): order 2. One evaluation a step.
 *
 * @throws Error when η (default 0) is not from 0 to 1, or another option does not fit
 * @see Lu et al., DPM-Solver++ (arXiv 2211.01095), Algorithm 2 and appendix B
 */
export function sampleDpmPlusPlus2M(model: Denoiser, options: DiffusionOptions & RandomnessOptions): tf.Tensor4D {
  return multistep('sampleDpmPlusPlus2M', 2, model, options);
}

/**
 * DPM-Solver++(3M), with η above 0 its SDE variant: the quadratic through the latest three data predictions, integrated exactly. Order 3.
 * One evaluation a step.
 *
 * The implementation that goes by this name elsewhere gives the quadratic's leading coefficient half of its weight, which makes it a
 * method of order 2; here, as in UniPC's predictor of order 3, it has all of it.
 *
 * @throws Error when η (default 0) is not from 0 to 1, or another option does not fit
 * @see Lu et al., DPM-Solver++ (arXiv 2211.01095), whose Eq. 9 this discretises
 */
export function sampleDpmPlusPlus3M(model: Denoiser, options: DiffusionOptions & RandomnessOptions): tf.Tensor4D {
  return multistep('sampleDpmPlusPlus3M', 3, model, options);
}

function multistep(where: string, order: 2 | 3, model: Denoiser, options: DiffusionOptions & RandomnessOptions) {
  const { eta = 0 } = options;
  fraction(where, 'eta', eta);
  return run(where, model, options, { levels: levelsOf(where, options), solver: dpmPlusPlusMultistep(order, eta) });
}
