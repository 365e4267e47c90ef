import { pairUp } from './pairs';
import type { FeatureMatrix } from './statistics';

/** The polynomial kernel k(x, y) = (γ x·y + coefficient)^degree. */
export interface PolynomialKernel {
  /** Default 3. */
  readonly degree?: number;
  /** γ. Default 1 / features of one image. */
  readonly gamma?: number;
  /** Default 1. */
  readonly coefficient?: number;
}

/**
 * The kernel distance KID: the unbiased estimate of the squared maximum mean discrepancy of two sets of features,
 *
 *     Σ_{i≠j} k(a_i, a_j) / (n (n − 1)) + Σ_{i≠j} k(b_i, b_j) / (m (m − 1)) − 2 Σ_ij k(a_i, b_j) / (n m).
 *
 * Unlike a Fréchet distance it has no bias at few images, and may be negative. Costs n² + m² + n m products: published numbers are
 * means over subsets of 1,000 images.
 *
 * @throws RangeError when a set has fewer than two rows, or they have not as many features.
 * @see Bińkowski et al. 2018, _Demystifying MMD GANs_, section 4.
 *
 * @example
 * ```ts
 * import { kid } from '@cm/fid';
 *
 * const features = (offset: number) => ({
 *   shape: [4, 1] as const,
 *   values: Float32Array.of(offset, offset + 0.1, offset + 0.2, offset + 0.3),
 * });
 * console.log(kid(features(0), features(1))); // 10.3
 * ```
 */
export function kid(a: FeatureMatrix, b: FeatureMatrix, kernel: PolynomialKernel = {}): number {
  const [rowsA, rowsB] = pairUp('kid', a, b);
  const { degree = 3, gamma = 1 / a.shape[1], coefficient = 1 } = kernel;
  const sum = (left: readonly Float64Array[], right: readonly Float64Array[]) => {
    let total = 0;
    for (const x of left) {
      for (const y of right) {
        if (x === y) continue;
        let product = 0;
        for (let i = 0; i < x.length; i++) product += x[i]! * y[i]!;
        total += (gamma * product + coefficient) ** degree;
      }
    }
    return total;
  };
  const within = (rows: readonly Float64Array[]) => sum(rows, rows) / (rows.length * (rows.length - 1));
  return within(rowsA) + within(rowsB) - (2 * sum(rowsA, rowsB)) / (rowsA.length * rowsB.length);
}
