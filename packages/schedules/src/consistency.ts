import { notNegative, positive, that } from './check';
import type { PhaseGrid } from './phases';

/** The two points of one trajectory that a training row compares, r < t, and how they lie. */
export interface NoisePair {
  /** The student's noise level. */
  readonly t: number;
  /** The teacher's noise level, s ≤ r < t (r = t only by rounding, at gaps below 1e-16·t). Where r = 0 the target is the estimate of x_0 itself. */
  readonly r: number;
  /** (r − s)/(t − s), in [0, 1): r/t without phases. */
  readonly ratio: number;
  /** t − r, as (1 − ratio)·(t − s): subtracting r from t would cancel where they nearly agree. */
  readonly gap: number;
  /** s(t), where t's phase ends: 0 without phases. */
  readonly edge: number;
}

/**
 * Which pair of noise levels a row at noise level t compares at a training iteration (counted from 0). This one type carries every
 * discretisation: a continuous schedule keeps t and says r; a discrete one, `gridSchedule`, answers with the interval that holds t.
 */
export type ConsistencySchedule = (t: number, iteration: number) => NoisePair;

/** Shape of n(t) of Eq. 15. */
export interface GapFactorOptions {
  /** How much wider gaps are, relative to t, at small noise: n(0) = 1 + k/2. Default 8. */
  readonly k?: number;
  /** How quickly that wears off with t. Default 1. */
  readonly b?: number;
}

/** Options of {@link progressiveSchedule}: the gap shrinks by q every d iterations. */
export interface ProgressiveOptions extends GapFactorOptions {
  /** Shrinking speed, above 1. */
  readonly q: number;
  /** Shrinking period in iterations, above 0; may be fractional. `Infinity` keeps the initial gap. */
  readonly d: number;
  /** The power of q at iteration 0. Default 1, as ECT's code has it, where Eq. 15 as printed has 0 (every r is then 0 at first). */
  readonly initialExponent?: number;
  /** Cuts the path into phases (Eq. 17). Default: one phase that ends at 0 (Eq. 15). */
  readonly phases?: PhaseGrid;
}

/**
 * n(t) = 1 + k·sigmoid(−b·t) of Eq. 15: between 1 + k/2 at t = 0 and 1 at large t.
 *
 * @throws RangeError when t, k or b is negative or not finite.
 * @see Geng et al., Consistency Models Made Easy (arXiv 2406.14548), for this form of n(t).
 *
 * @example
 * ```ts
 * import { gapFactor } from '@cm/schedules';
 *
 * console.log(gapFactor(0), gapFactor(1), gapFactor(80)); // 5 3.15 1
 * ```
 */
export function gapFactor(t: number, { k = 8, b = 1 }: GapFactorOptions = {}): number {
  notNegative('gapFactor', 't', t);
  checkFactor('gapFactor', { k, b });
  return factor(t, k, b);
}

const factor = (t: number, k: number, b: number): number => 1 + k / (1 + Math.exp(b * t));

function checkFactor(where: string, { k, b }: Required<GapFactorOptions>): void {
  notNegative(where, 'k', k);
  notNegative(where, 'b', b);
}

/**
 * The progressive schedule r(t) = max(1 − n(t)/q^e, 0)·(t − s) + s at e = ⌊iteration/d⌋ + initialExponent:
 * Eq. 15 without phases (s = 0), Eq. 17 with them (s = s(t), the edge below t).
 *
 * @throws RangeError when q ≤ 1, d ≤ 0, or k, b or initialExponent is negative; the schedule itself, when t is not positive
 * and finite, the iteration is negative, or so many stages have passed that nothing of the gap is left.
 *
 * @example
 * ```ts
 * import { progressiveSchedule } from '@cm/schedules';
 *
 * const schedule = progressiveSchedule({ q: 2, d: 25_000 });
 * console.log(schedule(1, 0).r, schedule(10, 0).r); // 0 5
 * console.log(schedule(10, 199_999).gap / 10); // 0.00391
 * ```
 */
export function progressiveSchedule(options: ProgressiveOptions): ConsistencySchedule {
  const { q, d, k = 8, b = 1, initialExponent = 1, phases } = options;
  const where = 'progressiveSchedule';
  checkProgress(where, q, d, initialExponent);
  checkFactor(where, { k, b });
  return (t, iteration) => {
    notNegative(where, 'iteration', iteration);
    return pairAt(where, t, factor(t, k, b) / q ** (stageOf(iteration, d) + initialExponent), phases);
  };
}

/** Options of {@link fixedGapSchedule}. */
export interface FixedGapScheduleOptions {
  /** (t − r)/(t − s), in (0, 1]. Default 1/256. */
  readonly fraction?: number;
  /** Cuts the path into phases. Default: one phase that ends at 0. */
  readonly phases?: PhaseGrid;
}

/**
 * A gap that stays in one proportion to t: Δt = t/256, the fixed partition of the paper's Fig. 4.
 * (ECT's own fixed configuration has Δt = n(t)·t/256: `progressiveSchedule({ q: 256, d: Infinity })`.)
 *
 * @throws RangeError when `fraction` is not in (0, 1]; the schedule itself, when t is not positive and finite.
 *
 * @example
 * ```ts
 * import { fixedGapSchedule } from '@cm/schedules';
 *
 * const { r, gap } = fixedGapSchedule()(2, 0);
 * console.log(r, gap); // 1.99 0.00781
 * ```
 */
export function fixedGapSchedule({ fraction = 1 / 256, phases }: FixedGapScheduleOptions = {}): ConsistencySchedule {
  that('fixedGapSchedule', 'fraction', fraction, fraction > 0 && fraction <= 1, 'above 0 and at most 1');
  return (t) => pairAt('fixedGapSchedule', t, fraction, phases);
}

/**
 * SCT's smoother shrinking (section 4.2): m small steps for every large one, at the same overall rate and from the same start,
 * q^(1/m), d/m and initialExponent·m. The paper reduces q and d without printing its values; m = 4 is this library's.
 *
 * @throws RangeError when the options are not those of a progressive schedule or m is not a finite number ≥ 1.
 *
 * @example
 * ```ts
 * import { smoother } from '@cm/schedules';
 *
 * console.log(smoother({ q: 2, d: 25_000 })); // { q: 1.19, d: 6250, initialExponent: 4 }
 * ```
 */
export function smoother(options: ProgressiveOptions, m = 4): ProgressiveOptions {
  const { q, d, initialExponent = 1 } = options;
  checkProgress('smoother', q, d, initialExponent);
  that('smoother', 'm', m, Number.isFinite(m) && m >= 1, 'a finite number, 1 or more');
  return { ...options, q: q ** (1 / m), d: d / m, initialExponent: initialExponent * m };
}

function checkProgress(where: string, q: number, d: number, initialExponent: number): void {
  that(where, 'q', q, Number.isFinite(q) && q > 1, 'a finite number above 1');
  that(where, 'd', d, d > 0, 'above 0 (Infinity never shrinks)');
  notNegative(where, 'initialExponent', initialExponent);
}

/** ⌊iteration/d⌋, where a d such as 25,000/3 must not round the third multiple down to the second stage. */
const stageOf = (iteration: number, d: number): number => Math.floor((iteration / d) * (1 + 4 * Number.EPSILON));

function pairAt(where: string, t: number, shrink: number, phases: PhaseGrid | undefined): NoisePair {
  positive(where, 't', t);
  const edge = phases?.edgeBelow(t) ?? 0;
  const fraction = Math.min(shrink, 1);
  const ratio = 1 - fraction;
  const gap = fraction * (t - edge);
  that(where, `the gap at t = ${t}`, gap, gap > 0, 'above 0: use a larger d or fewer iterations');
  return { t, r: ratio * (t - edge) + edge, ratio, gap, edge };
}
