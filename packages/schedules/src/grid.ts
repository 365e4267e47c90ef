import { positive, that, whole } from './check';
import type { ConsistencySchedule } from './consistency';
import type { Curriculum } from './curriculum';
import type { PhaseGrid } from './phases';

/** Options of {@link gridSchedule}. */
export interface GridScheduleOptions {
  /** N(k), the number of noise levels at an iteration. */
  readonly levels: Curriculum;
  /** ε, the smallest noise level. Default 0.002. */
  readonly sigmaMin?: number;
  /** T, the largest. Default 80. */
  readonly sigmaMax?: number;
  /** Crowding towards small noise, as in `karrasGrid`. Default 7. */
  readonly rho?: number;
  /** Cuts the path into phases: r does not pass the edge below t. Default: one phase that ends at 0. */
  readonly phases?: PhaseGrid;
}

/**
 * The discrete schedule of consistency distillation and training: t and r are neighbours on a grid of N(k) noise levels
 *
 *     σ_i = (ε^(1/ρ) + (i − 1)/(N(k) − 1)·(T^(1/ρ) − ε^(1/ρ)))^ρ,   i = 1, …, N(k).
 *
 * It takes any noise level and answers with the ends of the interval that holds it: t = σ_(i+1), r = σ_i. So the distribution of the level given
 * decides how often an interval is drawn. Levels of `karrasNoiseLevels` make the index uniform (CT, CD); levels of `logNormalNoiseLevels` within
 * [ε, T] make it the discretised log-normal of iCT, p(σ_i) ∝ erf((ln σ_(i+1) − P_mean)/(√2·P_std)) − erf((ln σ_i − P_mean)/(√2·P_std)), which is
 * the log-normal mass of the interval.
 *
 * Levels outside the grid belong to its first or last interval.
 *
 * @throws RangeError when not 0 < `sigmaMin` < `sigmaMax`, or `rho` is not positive; the schedule itself, when t is not positive and finite or
 * N(k) is not a whole number of at least 2
 * @see Song et al., Consistency Models (arXiv 2303.01469), Algorithms 2 and 3
 *
 * @example
 * ```ts
 * import { exponentialCurriculum, gridSchedule } from '@cm/schedules';
 *
 * const levels = exponentialCurriculum({ s0: 10, s1: 1280, iterations: 800_000 }); // iCT's
 * console.log(levels(0), levels(799_999)); // 11 1281
 * const { t, r } = gridSchedule({ levels })(1, 0);
 * console.log(t, r); // 2.52 0.965
 * ```
 */
export function gridSchedule(options: GridScheduleOptions): ConsistencySchedule {
  const { levels, sigmaMin = 0.002, sigmaMax = 80, rho = 7, phases } = options;
  const where = 'gridSchedule';
  positive(where, 'sigmaMin', sigmaMin);
  positive(where, 'rho', rho);
  that(where, 'sigmaMax', sigmaMax, sigmaMax > sigmaMin && sigmaMax < Infinity, `above sigmaMin, ${sigmaMin}`);
  const from = sigmaMin ** (1 / rho);
  const span = sigmaMax ** (1 / rho) - from;

  return (noiseLevel, iteration) => {
    positive(where, 't', noiseLevel);
    const count = levels(iteration);
    whole(where, `N(${iteration})`, count, 2);
    const last = count - 1;
    const level = (i: number) => (i === 0 ? sigmaMin : i === last ? sigmaMax : (from + (i / last) * span) ** rho);
    const position = (last * (noiseLevel ** (1 / rho) - from)) / span;
    // A level of the grid belongs to the interval below it, whatever its rounding.
    const upper = Math.min(Math.max(Math.ceil(position - 1e-9), 1), last);
    const t = level(upper);
    const edge = phases?.edgeBelow(t) ?? 0;
    const r = Math.max(level(upper - 1), edge);
    return { t, r, ratio: (r - edge) / (t - edge), gap: t - r, edge };
  };
}
