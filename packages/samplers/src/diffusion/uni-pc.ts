import type * as tf from '@tensorflow/tfjs-core';
import { that, whole } from '../check';
import type { Denoiser } from '../model';
import { levelsOf } from '../noise-levels';
import { run } from '../run';
import type { Solver } from '../solver';
import type { DiffusionOptions } from './euler';
import { exponentialMoment, exponentialWeights } from './exponential';

/** B(h) of UniPC: h, or 1 − e^(−h). */
export type UniPcVariant = 'B1' | 'B2';

/**
 * UniPC-p in data prediction. A step evaluates at the predicted point, corrects that point with the answer, and predicts the next from the
 * corrected one. Remembers the last corrected point and the data predictions since.
 */
export function uniPc(order: 1 | 2 | 3, variant: UniPcVariant): Solver {
  return (space, { x, memory }, { from, to, earlier }) => {
    const denoised = space.denoise(x, from);
    const [base, ...older] = memory;
    const stepFrom = (
      start: typeof x,
      [t, s]: readonly [number, number],
      points: readonly (readonly [level: number, image: typeof x])[],
    ) => {
      const h = Math.log(t / s);
      const weights = uniPcWeights(
        points.map(([level]) => Math.log(t / level) / h),
        h,
        variant,
      );
      return space.sum([s / t, start], ...points.map(([, image], i) => [weights[i]!, image] as const));
    };
    const past = older.map((image, i) => [earlier[i]!, image] as const);
    const here = [from, denoised] as const;
    const corrected = base === undefined ? x : stepFrom(base, [earlier[0]!, from], [...past, here]);
    const points = [here, ...past].slice(0, order);
    const predicted = stepFrom(corrected, [from, to], points);
    return { x: predicted, memory: [corrected, ...points.map(([, image]) => image)] };
  };
}

/**
 * Weights of the data predictions at `nodes` (u = 0 at the step's beginning, 1 at its end). Their equations (the paper's Eq. 5, in which B(h)
 * cancels) are those of exact integration of the polynomial, but for two nodes, where the paper sets a_1 = 1/2 and B(h) matters.
 */
function uniPcWeights(nodes: readonly number[], h: number, variant: UniPcVariant): number[] {
  if (nodes.length !== 2) return exponentialWeights(nodes, h);
  const whole = exponentialMoment(0, h);
  const slope = (variant === 'B1' ? h : whole) / 2 / (nodes[1]! - nodes[0]!);
  return [whole - slope, slope];
}

/** Options of {@link sampleUniPc}. */
export type UniPcOptions = DiffusionOptions & {
  /** p: predictor and corrector both use p data predictions, besides the corrector's newest: 1 to 3. The method's order is p + 1. Default 3. */
  readonly order?: 1 | 2 | 3;
  /** B(h): `B1` is h, `B2` is 1 − e^(−h). Default B2. */
  readonly variant?: UniPcVariant;
};

/**
 * UniPC, predictor and corrector (UniPC-p), multistep, data prediction. The corrector uses the evaluation that the next step needs
 * in any case: one evaluation a step.
 *
 * @throws Error when `order` is not from 1 to 3, `variant` is neither B1 nor B2, or another option does not fit
 * @see Zhao et al., UniPC (arXiv 2302.04867), Algorithms 5 to 8
 */
export function sampleUniPc(model: Denoiser, options: UniPcOptions): tf.Tensor4D {
  const { order = 3, variant = 'B2' } = options;
  whole('sampleUniPc', 'order', order, 1, 3);
  that('sampleUniPc', 'variant', variant, variant === 'B1' || variant === 'B2', 'B1 or B2');
  return run('sampleUniPc', model, options, {
    levels: levelsOf('sampleUniPc', options),
    solver: uniPc(order, variant),
  });
}
