import { karrasGrid } from '@cm/schedules';
import { fallingLevels, level, that, whole } from './check';

/** Range and number of steps of a grid of noise levels. */
export interface GridOptions {
  /** Number of steps N, at least 1. */
  readonly steps: number;
  /** The last noise level before 0. Default 0.002. */
  readonly sigmaMin?: number;
  /** The first noise level. Default 80. */
  readonly sigmaMax?: number;
}

/**
 * Noise levels evenly spaced in ln σ, the log-linear or exponential grid of the DPM-Solver papers.
 *
 * @returns `steps + 1` numbers, falling from σ_max to σ_min, then 0; with one step `[sigmaMax, 0]`
 * @throws Error when not 0 < σ_min < σ_max, or `steps` is not a whole number above 0
 *
 * @example
 * ```ts
 * import { exponentialGrid } from '@cm/samplers';
 *
 * console.log(exponentialGrid({ steps: 4, sigmaMin: 0.01, sigmaMax: 10 })); // [10, 1, 0.1, 0.01, 0]
 * ```
 */
export function exponentialGrid(options: GridOptions): number[] {
  return spaced('exponentialGrid', options, Math.log, Math.exp);
}

/**
 * Noise levels evenly spaced in t = σ itself: as {@link exponentialGrid}.
 */
export function uniformGrid(options: GridOptions): number[] {
  const identity = (t: number) => t;
  return spaced('uniformGrid', options, identity, identity);
}

/**
 * Noise levels evenly spaced in the time τ of the variance-preserving process, σ² = exp(β_d·τ²/2 + β_min·τ) − 1 with β_d = 19.9 and
 * β_min = 0.1: "uniform in t" of models trained with it. As {@link exponentialGrid}.
 *
 * @see Song et al., Score-Based Generative Modeling through Stochastic Differential Equations (arXiv 2011.13456), appendix C
 */
export function variancePreservingGrid(options: GridOptions): number[] {
  return spaced('variancePreservingGrid', options, variancePreservingTime, variancePreservingLevel);
}

const betaDelta = 19.9;
const betaMin = 0.1;

/** τ at which the variance-preserving process has noise level σ (its σ/α). */
export const variancePreservingTime = (sigma: number) =>
  (2 * Math.log1p(sigma * sigma)) / (betaMin + Math.sqrt(betaMin ** 2 + 2 * betaDelta * Math.log1p(sigma * sigma)));

const variancePreservingLevel = (time: number) => Math.sqrt(Math.expm1((betaDelta / 2) * time * time + betaMin * time));

/**
 * Brings a given list of noise levels, such as an optimised one (Align Your Steps), to another number of steps: the list's logarithms,
 * linearly interpolated over the steps; a 0 at the end stays.
 *
 * @param given levels, falling, all above 0 but the last
 * @returns `steps + 1` numbers; `given` itself where it has as many
 * @throws Error when they do not fall, are fewer than two above 0, or `steps` is not a whole number above 0 (above 1 where a 0 ends them)
 * @see Sabour et al., Align Your Steps (arXiv 2404.14507), whose lists are extended so
 */
export function interpolatedGrid(given: readonly number[], steps: number): number[] {
  const where = 'interpolatedGrid';
  fallingLevels(where, given);
  const zero = given.at(-1) === 0;
  const logs = (zero ? given.slice(0, -1) : given).map(Math.log);
  that(where, 'given', `[${given}]`, logs.length > 1, 'at least two levels above 0');
  whole(where, 'steps', steps, zero ? 2 : 1);
  const intervals = zero ? steps - 1 : steps;
  const levels = Array.from({ length: intervals + 1 }, (_, i) => {
    const at = (i / intervals) * (logs.length - 1);
    const left = Math.min(Math.floor(at), logs.length - 2);
    // The list's own numbers, to the last bit.
    if (at === Math.round(at)) return given[Math.round(at)]!;
    return Math.exp(logs[left]! + (at - left) * (logs[left + 1]! - logs[left]!));
  });
  return zero ? [...levels, 0] : levels;
}

function spaced(
  where: string,
  { steps, sigmaMin = 0.002, sigmaMax = 80 }: GridOptions,
  forward: (sigma: number) => number,
  backward: (z: number) => number,
): number[] {
  whole(where, 'steps', steps, 1);
  level(where, 'sigmaMin', sigmaMin);
  level(where, 'sigmaMax', sigmaMax);
  that(where, 'sigmaMin', sigmaMin, sigmaMin < sigmaMax, `below sigmaMax, ${sigmaMax}`);
  const [from, to] = [forward(sigmaMax), forward(sigmaMin)];
  const levels = Array.from({ length: steps }, (_, i) => {
    if (i === 0) return sigmaMax;
    if (i === steps - 1) return sigmaMin;
    return backward(from + (i / (steps - 1)) * (to - from));
  });
  return [...levels, 0];
}

/** How the noise levels of a diffusion sampler are given: as a list, or as the Karras grid's options. */
export type LevelOptions = Partial<GridOptions> & {
  /** ρ of the Karras grid. Default 7. */
  readonly rho?: number;
  /**
   * The noise levels themselves, falling, instead of the Karras grid. Where the last is 0, the last step ends at the denoised image;
   * where it is not, what is returned still has that noise.
   */
  readonly levels?: readonly number[];
};

/** The noise levels that options mean. */
export function levelsOf(where: string, { levels, steps, sigmaMin = 0.002, sigmaMax = 80, rho = 7 }: LevelOptions) {
  if ((levels === undefined) === (steps === undefined)) {
    throw new Error(`${where}: ${levels ? 'both' : 'neither'} steps and levels given, expected one of them`);
  }
  if (levels) return levels;
  level(where, 'sigmaMax', sigmaMax);
  return karrasGrid({ steps: steps!, sigmaMin, sigmaMax, rho });
}
