import { notNegative, positive, that, whole } from './check';

/** The number of noise levels N(k) of a grid at training iteration k, counted from 0: at least 2, so one interval. */
export type Curriculum = (iteration: number) => number;

/** Options of a curriculum that grows from s_0 to s_1. */
export interface CurriculumOptions {
  /** s_0: how fine the grid is at first. */
  readonly s0: number;
  /** s_1: how fine it becomes. */
  readonly s1: number;
  /** K: the iterations over which it grows. */
  readonly iterations: number;
}

/**
 * N(k) = ⌈√(k/K·((s_1 + 1)² − s_0²) + s_0²) − 1⌉ + 1, from s_0 levels to s_1 + 1: consistency training's.
 *
 * @throws RangeError when not 2 ≤ s_0 ≤ s_1 are whole numbers, or `iterations` is not positive; the curriculum, when the iteration is negative
 * @see Song et al., Consistency Models (arXiv 2303.01469), appendix C
 */
export function squareRootCurriculum({ s0, s1, iterations }: CurriculumOptions): Curriculum {
  check('squareRootCurriculum', { s0, s1, iterations }, 2);
  return (k) => {
    const part = progress('squareRootCurriculum', k, iterations);
    return Math.ceil(Math.sqrt(part * ((s1 + 1) ** 2 - s0 ** 2) + s0 ** 2) - 1) + 1;
  };
}

/**
 * N(k) = min(s_0·2^⌊k/K'⌋, s_1) + 1 with K' = ⌊K/(log₂⌊s_1/s_0⌋ + 1)⌋: intervals double every K' iterations. Improved consistency training's,
 * with s_0 = 10 and s_1 = 1280.
 *
 * @throws RangeError when not 1 ≤ s_0 ≤ s_1 are whole numbers, or `iterations` is less than one for each stage; the curriculum, when the
 * iteration is negative
 * @see Song and Dhariwal, Improved Techniques for Training Consistency Models (arXiv 2310.14189), section 3.4
 */
export function exponentialCurriculum({ s0, s1, iterations }: CurriculumOptions): Curriculum {
  const where = 'exponentialCurriculum';
  check(where, { s0, s1, iterations }, 1);
  const period = Math.floor(iterations / (Math.log2(Math.floor(s1 / s0)) + 1));
  that(where, 'iterations', iterations, period > 0, 'at least one for each doubling');
  return (k) => {
    notNegative(where, 'iteration', k);
    return Math.min(s0 * 2 ** Math.floor(k / period), s1) + 1;
  };
}

/**
 * N(k) = s_0·(s_1/s_0)^min(k/K, 1) + 1, rounded: the number of intervals grows by one factor every iteration, then stays.
 * Multistep consistency models anneal theirs so, from 64 to 1280.
 *
 * @throws RangeError when not 1 ≤ s_0 ≤ s_1 are whole numbers, or `iterations` is not positive; the curriculum, when the iteration is negative
 * @see Heek et al., Multistep Consistency Models (arXiv 2403.06807)
 */
export function geometricCurriculum({ s0, s1, iterations }: CurriculumOptions): Curriculum {
  check('geometricCurriculum', { s0, s1, iterations }, 1);
  return (k) => Math.round(s0 * (s1 / s0) ** progress('geometricCurriculum', k, iterations)) + 1;
}

/**
 * μ(k) = exp(s_0·ln μ_0/N(k)): how slowly the target network's average follows the student in consistency training. It slows down as the grid
 * becomes finer. (Improved consistency training has none: its target network is the student.)
 *
 * @throws RangeError when `decay` (μ_0) is not between 0 and 1, both excluded, or `s0` is not positive
 * @see Song et al., Consistency Models (arXiv 2303.01469), appendix C
 */
export function curriculumDecay(
  curriculum: Curriculum,
  { decay, s0 }: { readonly decay: number; readonly s0: number },
): (iteration: number) => number {
  that('curriculumDecay', 'decay', decay, decay > 0 && decay < 1, 'above 0 and below 1');
  positive('curriculumDecay', 's0', s0);
  return (iteration) => Math.exp((s0 * Math.log(decay)) / curriculum(iteration));
}

function check(where: string, { s0, s1, iterations }: CurriculumOptions, least: number): void {
  whole(where, 's0', s0, least);
  whole(where, 's1', s1, s0);
  positive(where, 'iterations', iterations);
}

function progress(where: string, iteration: number, iterations: number): number {
  notNegative(where, 'iteration', iteration);
  return Math.min(iteration / iterations, 1);
}
