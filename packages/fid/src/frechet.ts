import { factorize, factorProduct } from './factor';
import { singularValues } from './singular-values';
import type { FeatureStatistics } from './statistics';

/**
 * The Fréchet distance of two Gaussians, in float64: FID when the features are those of the Inception-v3 network.
 *
 *     d² = |μ_a − μ_b|² + tr(Σ_a + Σ_b − 2 (√Σ_a Σ_b √Σ_a)^½)
 *
 * With Σ = Rᵀ R for each, the trace of the root is the sum of the singular values of R_a R_bᵀ: they are the roots of the eigenvalues
 * of √Σ_a Σ_b √Σ_a. No square is formed whose root would then amplify rounding, and rank-deficient covariances (fewer images than
 * features) need no ε on the diagonal.
 *
 * @throws RangeError when the two have not as many features, or a number is NaN or infinite.
 * @see Heusel et al. 2017, _GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium_, Eq. 6.
 *
 * @example
 * ```ts
 * import { frechetDistance } from '@cm/fid';
 *
 * const covariance = (variance: number) => Float64Array.of(variance, 0, 0, variance);
 * const a = { mean: Float64Array.of(0, 0), covariance: covariance(1) };
 * const b = { mean: Float64Array.of(3, 0), covariance: covariance(4) };
 * console.log(frechetDistance(a, b)); // 11
 * ```
 */
export function frechetDistance(
  a: Pick<FeatureStatistics, 'mean' | 'covariance'>,
  b: Pick<FeatureStatistics, 'mean' | 'covariance'>,
): number {
  const size = a.mean.length;
  if (b.mean.length !== size) {
    throw new RangeError(`frechetDistance: the means have ${size} and ${b.mean.length} features, expected as many`);
  }
  for (const { mean, covariance } of [a, b]) {
    if (covariance.length !== size * size) {
      throw new RangeError(
        `frechetDistance: a covariance has ${covariance.length} values, expected [${size}, ${size}] as its mean has ${size}`,
      );
    }
    if (![mean, covariance].every((values) => values.every(Number.isFinite))) {
      throw new RangeError('frechetDistance: the statistics hold NaN or infinite values, expected finite ones');
    }
  }
  const [left, right] = [factorize(a.covariance, size), factorize(b.covariance, size)];
  const roots = singularValues(factorProduct(left, right), left.rank, right.rank);
  let distance = -2 * roots.reduce((sum, root) => sum + root, 0);
  for (let i = 0; i < size; i++) {
    distance += (a.mean[i]! - b.mean[i]!) ** 2 + a.covariance[i * (size + 1)]! + b.covariance[i * (size + 1)]!;
  }
  // Rounding may leave a hair below zero where the two are the same.
  return Math.max(distance, 0);
}
