import { pairUp } from './pairs';
import type { FeatureMatrix } from './statistics';

/** Precision and recall of generated images: {@link precisionRecall}. */
export interface PrecisionRecall {
  /** The share of generated images within the estimated manifold of the real ones: fidelity. */
  readonly precision: number;
  /** The share of real images within the estimated manifold of the generated ones: diversity. */
  readonly recall: number;
}

/**
 * Precision and recall by nearest neighbours. A set's manifold is the union of balls around its features, each reaching as far as the
 * k-th nearest other feature of the set: k is the option `neighbors`, from 1 to one less than the smaller set, 3 by default.
 *
 * @throws RangeError when k is not such a number, or the two have not as many features.
 * @see Kynkäänniemi et al. 2019, _Improved Precision and Recall Metric for Assessing Generative Models_, Eq. 1 and 2.
 *
 * @example
 * ```ts
 * import { precisionRecall } from '@cm/fid';
 *
 * const real = { shape: [5, 1] as const, values: Float32Array.of(0, 1, 2, 3, 4) };
 * const generated = { shape: [4, 1] as const, values: Float32Array.of(1, 1.1, 1.2, 9) };
 * console.log(precisionRecall(real, generated, { neighbors: 1 })); // { precision: 0.75, recall: 0.8 }
 * ```
 */
export function precisionRecall(
  real: FeatureMatrix,
  generated: FeatureMatrix,
  { neighbors = 3 }: { readonly neighbors?: number } = {},
): PrecisionRecall {
  const [rowsReal, rowsGenerated] = pairUp('precisionRecall', real, generated);
  const most = Math.min(rowsReal.length, rowsGenerated.length) - 1;
  if (!(Number.isInteger(neighbors) && neighbors >= 1 && neighbors <= most)) {
    throw new RangeError(`precisionRecall: neighbors is ${neighbors}, expected 1 to ${most}`);
  }
  return {
    precision: coverage(rowsReal, rowsGenerated, neighbors),
    recall: coverage(rowsGenerated, rowsReal, neighbors),
  };
}

/** The share of `points` within the manifold of `set`. */
function coverage(set: readonly Float64Array[], points: readonly Float64Array[], neighbors: number): number {
  const radii = set.map((center) => {
    // Its own distance, 0, comes first.
    const distances = Float64Array.from(set, (other) => squaredDistance(center, other)).sort();
    return distances[neighbors]!;
  });
  const inside = points.filter((point) => set.some((center, i) => squaredDistance(center, point) <= radii[i]!));
  return inside.length / points.length;
}

function squaredDistance(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = a[i]! - b[i]!;
    sum += difference * difference;
  }
  return sum;
}
