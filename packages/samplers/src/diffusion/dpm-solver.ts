import type * as tf from '@tensorflow/tfjs-core';
import { whole } from '../check';
import type { Denoiser, SampleOptions } from '../model';
import { exponentialGrid, type GridOptions, levelsOf } from '../noise-levels';
import { run } from '../run';
import type { Solver } from '../solver';
import { type DiffusionOptions, euler } from './euler';

// The DPM-Solvers integrate the noise prediction ε = (x − D)/t over λ = −ln t, of which h = ln(t/s) is a step's length. With α = 1 the paper's
// σ_s·(e^h − 1) is t − s.

/** Between t and s, a part r of the step in λ. */
const between = (from: number, to: number, r: number) => from * (to / from) ** r;

/** DPM-Solver-2, r_1 = 1/2: the slope at the geometric mean of both levels. */
export const dpmSolver2: Solver = (space, { x }, { from, to }) => {
  const middle = between(from, to, 1 / 2);
  const there = space.sum([middle / from, x], [1 - middle / from, space.denoise(x, from)]);
  const step = (to - from) / middle;
  return { x: space.sum([1, x], [step, there], [-step, space.denoise(there, middle)]), memory: [] };
};

/** DPM-Solver-3, r_1 = 1/3, r_2 = 2/3. */
export const dpmSolver3: Solver = (space, { x }, { from, to }) => {
  const h = Math.log(from / to);
  const [r1, r2] = [1 / 3, 2 / 3];
  const [s1, s2] = [between(from, to, r1), between(from, to, r2)];
  // σ_s·((e^h − 1)/h − 1), h and s being a whole or a part of the step.
  const second = (s: number, length: number) => s * (Math.expm1(length) / length - 1);
  const noiseAt = (y: typeof x, t: number) => space.sum([1 / t, y], [-1 / t, space.denoise(y, t)]);

  const e0 = noiseAt(x, from);
  const e1 = noiseAt(space.sum([1, x], [s1 - from, e0]), s1);
  const a = (second(s2, r2 * h) * r2) / r1;
  const e2 = noiseAt(space.sum([1, x], [s2 - from + a, e0], [-a, e1]), s2);
  const b = second(to, h) / r2;
  return { x: space.sum([1, x], [to - from + b, e0], [-b, e2]), memory: [] };
};

/**
 * DPM-Solver-2: order 2. Two evaluations a step, one for the step to 0: 2·steps − 1.
 *
 * @throws Error when an option does not fit
 * @see Lu et al., DPM-Solver (arXiv 2206.00927), Algorithm 1
 */
export function sampleDpm2(model: Denoiser, options: DiffusionOptions): tf.Tensor4D {
  return run('sampleDpm2', model, options, { levels: levelsOf('sampleDpm2', options), solver: dpmSolver2 });
}

/**
 * DPM-Solver-3: order 3. Three evaluations a step, one for the step to 0: 3·steps − 2.
 *
 * @throws Error when an option does not fit
 * @see Lu et al., DPM-Solver (arXiv 2206.00927), Algorithm 2
 */
export function sampleDpm3(model: Denoiser, options: DiffusionOptions): tf.Tensor4D {
  return run('sampleDpm3', model, options, { levels: levelsOf('sampleDpm3', options), solver: dpmSolver3 });
}

/** Options of {@link sampleDpmFast}. */
export interface DpmFastOptions extends SampleOptions, Omit<GridOptions, 'steps'> {
  /** How often the model is evaluated, at least 2. */
  readonly evaluations: number;
}

/** The orders of DPM-Solver-fast's steps, which add up to `evaluations`: as many 3s as there can be, and the rest. */
export function dpmFastOrders(evaluations: number): number[] {
  const threes = (n: number) => new Array<number>(n).fill(3);
  const whole = Math.floor(evaluations / 3);
  if (evaluations % 3 === 0) return [...threes(whole - 1), 2, 1];
  return [...threes(whole), evaluations % 3];
}

/**
 * DPM-Solver-fast: steps of orders 3, 3, …, evenly spaced in ln σ from σ_max to σ_min, that spend exactly the given number of evaluations;
 * the last of them denoises from σ_min to 0.
 *
 * @throws Error when `evaluations` is below 2, or another option does not fit
 * @see Lu et al., DPM-Solver (arXiv 2206.00927), section 3.4
 */
export function sampleDpmFast(model: Denoiser, options: DpmFastOptions): tf.Tensor4D {
  const { evaluations, ...range } = options;
  whole('sampleDpmFast', 'evaluations', evaluations, 2);
  const solvers = dpmFastOrders(evaluations - 1).map((order) => [euler, dpmSolver2, dpmSolver3][order - 1]!);
  const levels = exponentialGrid({ ...range, steps: solvers.length + 1 });
  const solver: Solver = (space, state, step) => solvers[step.earlier.length]!(space, state, step);
  return run('sampleDpmFast', model, options, { levels, solver });
}
