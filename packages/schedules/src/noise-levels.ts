import { finite, notNegative, positive, that, whole } from './check';
import { normalCdf, normalQuantile } from './normal';

/** Options of {@link karrasGrid}. */
export interface KarrasGridOptions {
  /** Number of solver steps N, at least 1. */
  readonly steps: number;
  /** The smallest noise level before 0. Default 0.002. */
  readonly sigmaMin?: number;
  /** The largest noise level, where sampling starts. Default 80. */
  readonly sigmaMax?: number;
  /** How strongly steps crowd towards small noise. Default 7; 1 spaces the levels evenly. */
  readonly rho?: number;
}

/**
 * The noise levels that a diffusion sampler visits: for i < N,
 * σ_i = (σ_max^(1/ρ) + i/(N−1)·(σ_min^(1/ρ) − σ_max^(1/ρ)))^ρ, and σ_N = 0.
 *
 * @returns `steps + 1` numbers, descending from `sigmaMax` to `sigmaMin` and then 0 (with one step: `[sigmaMax, 0]`).
 * @throws RangeError when `steps` is not a whole number ≥ 1, or not 0 < `sigmaMin` ≤ `sigmaMax`, or `rho` is not positive.
 * @see Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models (arXiv 2206.00364), Eq. 5.
 *
 * @example
 * ```ts
 * import { karrasGrid } from '@cm/schedules';
 *
 * console.log(karrasGrid({ steps: 4 })); // [80, 9.72, 0.47, 0.002, 0]
 * ```
 */
export function karrasGrid({ steps, sigmaMin = 0.002, sigmaMax = 80, rho = 7 }: KarrasGridOptions): number[] {
  whole('karrasGrid', 'steps', steps, 1);
  return [...karrasLevels('karrasGrid', { points: steps, sigmaMin, sigmaMax, rho }), 0];
}

/** `points` levels from `sigmaMax` to `sigmaMin`, both exact, evenly spaced in σ^(1/ρ). */
export function karrasLevels(
  where: string,
  { points, sigmaMin, sigmaMax, rho }: { points: number; sigmaMin: number; sigmaMax: number; rho: number },
): number[] {
  positive(where, 'sigmaMin', sigmaMin);
  positive(where, 'sigmaMax', sigmaMax);
  positive(where, 'rho', rho);
  that(where, 'sigmaMin', sigmaMin, sigmaMin <= sigmaMax, `at most sigmaMax, ${sigmaMax}`);
  const from = sigmaMax ** (1 / rho);
  const to = sigmaMin ** (1 / rho);
  return Array.from({ length: points }, (_, i) => {
    if (i === 0) return sigmaMax;
    if (i === points - 1) return sigmaMin;
    return (from + (i / (points - 1)) * (to - from)) ** rho;
  });
}

/** Options of {@link logNormalNoiseLevels}: the mean and standard deviation of ln t. */
export interface LogNormalOptions {
  /** P_mean, the mean of ln t. −1.1 for CIFAR-10 and −0.8 for ImageNet-64 in the ECT and SCT recipes. */
  readonly mean: number;
  /** P_std, the standard deviation of ln t. 2.0 for CIFAR-10 and 1.6 for ImageNet-64. */
  readonly std: number;
  /** Levels below are not drawn; the others keep their proportions. Default 0. */
  readonly min?: number;
  /** Levels above are not drawn. Default `Infinity`. */
  readonly max?: number;
}

/**
 * Training noise levels, ln t ~ Normal(P_mean, P_std²): t = exp(P_mean + P_std·z) for standard-normal z (Eq. 15 and 17). With `min` or `max` the
 * distribution is truncated: z moves to Φ⁻¹(Φ(a) + Φ(z)·(Φ(b) − Φ(a))), a and b being where the ends lie.
 *
 * @param normals Standard-normal numbers, one for each row, for example `normalArray(key, batch)` of `@cm/random`.
 * @returns One noise level for each of `normals`, each above 0.
 * @throws RangeError when an option or one of `normals` is not finite, `std` is negative, `min` is not below `max` or nearly nothing lies between
 * them, or a level leaves float32's range.
 *
 * @example
 * ```ts
 * import { key, normalArray } from '@cm/random';
 * import { logNormalNoiseLevels } from '@cm/schedules';
 *
 * const t = logNormalNoiseLevels(normalArray(key(0), 10_001), { mean: -1.1, std: 2 }).sort();
 * console.log(t[5000]); // 0.333
 * ```
 */
export function logNormalNoiseLevels(normals: ArrayLike<number>, options: LogNormalOptions): Float32Array {
  const { mean, std, min = 0, max = Number.POSITIVE_INFINITY } = options;
  const where = 'logNormalNoiseLevels';
  finite(where, 'mean', mean);
  notNegative(where, 'std', std);
  notNegative(where, 'min', min);
  that(where, 'max', max, max > min, `above min, ${min}`);
  const within = min === 0 && max === Number.POSITIVE_INFINITY ? (z: number) => z : truncation(where, options);
  return levelsOf(where, normals, (z) => Math.exp(mean + std * within(z)));
}

/** Moves standard-normal numbers so that exp(mean + std·z) lies between min and max. */
function truncation(where: string, { mean, std, min = 0, max = Number.POSITIVE_INFINITY }: LogNormalOptions) {
  const below = min === 0 ? 0 : normalCdf((Math.log(min) - mean) / std);
  const inside = (max === Number.POSITIVE_INFINITY ? 1 : normalCdf((Math.log(max) - mean) / std)) - below;
  that(where, `the probability between ${min} and ${max}`, inside, inside > 1e-9, 'above 1e-9');
  return (z: number) => normalQuantile(below + normalCdf(z) * inside);
}

/**
 * Training noise levels whose ρ-th root is uniform: t = (σ_min^(1/ρ) + Φ(z)·(σ_max^(1/ρ) − σ_min^(1/ρ)))^ρ for standard-normal z. Every interval of a
 * Karras grid, however fine, is equally likely: the noise distribution of consistency distillation and training, for `gridSchedule`.
 *
 * @param normals Standard-normal numbers, one for each row; numbers of this kind drive every noise distribution here.
 * @throws RangeError when not 0 < `sigmaMin` ≤ `sigmaMax`, `rho` is not positive, or one of `normals` is not finite.
 * @see Song et al., Consistency Models (arXiv 2303.01469), Algorithms 2 and 3
 */
export function karrasNoiseLevels(
  normals: ArrayLike<number>,
  { sigmaMin = 0.002, sigmaMax = 80, rho = 7 }: Omit<KarrasGridOptions, 'steps'> = {},
): Float32Array {
  const where = 'karrasNoiseLevels';
  const [to, from] = karrasLevels(where, { points: 2, sigmaMin, sigmaMax, rho }).map((level) => level ** (1 / rho));
  return levelsOf(where, normals, (z) => (from! + normalCdf(z) * (to! - from!)) ** rho);
}

function levelsOf(where: string, normals: ArrayLike<number>, levelOf: (z: number) => number): Float32Array {
  const levels = new Float32Array(normals.length);
  for (let i = 0; i < levels.length; i++) {
    finite(where, `normals[${i}]`, normals[i]!);
    levels[i] = levelOf(normals[i]!);
    positive(where, `level ${i} (normal ${normals[i]})`, levels[i]!);
  }
  return levels;
}
