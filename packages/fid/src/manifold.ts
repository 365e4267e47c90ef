import { requireComparable } from './pairs';
import { productBlocks, type Rows } from './products';
import type { FeatureMatrix } from './statistics';

/** What nearest neighbours tell of generated images: {@link manifoldMetrics}. */
export interface ManifoldMetrics {
  /** The share of generated images within the real ones' balls. */
  readonly precision: number;
  /** The share of real images within the generated ones' balls. */
  readonly recall: number;
  /** The real images' balls that a generated image lies in, on average, divided by k: fidelity that outliers do not raise. May exceed 1. */
  readonly density: number;
  /** The share of real images in whose ball a generated image lies. */
  readonly coverage: number;
}

/**
 * Precision, recall, density and coverage of large sets. The ball of a feature reaches to the k-th nearest other feature of its set; k is
 * the option `neighbors`. Distances come block by block from products that the current backend takes in float32, of features from which
 * the real ones' mean has been subtracted: only blocks of 1,024 × 1,024 are ever there. `precisionRecall` is the same in float64, one pair
 * after another.
 *
 * @param options `neighbors`: from 1 to one less than the smaller set. Default 3, as papers report precision and recall; 5 is usual for density
 *   and coverage.
 * @throws RangeError when k is not such a number, a value is NaN or infinite, or the two have not as many features.
 * @see Kynkäänniemi et al. 2019, Eq. 1 and 2; Naeem et al. 2020, _Reliable Fidelity and Diversity Metrics for Generative Models_, Eq. 5 and 6.
 */
export async function manifoldMetrics(
  real: FeatureMatrix,
  generated: FeatureMatrix,
  { neighbors = 3 }: { readonly neighbors?: number } = {},
): Promise<ManifoldMetrics> {
  requireComparable('manifoldMetrics', real, generated);
  const most = Math.min(real.shape[0], generated.shape[0]) - 1;
  if (!(Number.isInteger(neighbors) && neighbors >= 1 && neighbors <= most)) {
    throw new RangeError(`manifoldMetrics: neighbors is ${neighbors}, expected 1 to ${most}`);
  }
  const center = meanOf(real);
  const [a, b] = [centered(real, center), centered(generated, center)];
  const [radiiA, radiiB] = [await radii(a, neighbors), await radii(b, neighbors)];
  const inReal = new Uint32Array(b.count);
  const inGenerated = new Uint8Array(a.count);
  const covered = new Uint8Array(a.count);
  for await (const block of productBlocks(a, b)) {
    for (let i = 0; i < block.rows; i++) {
      for (let j = 0; j < block.columns; j++) {
        const [from, to] = [block.a0 + i, block.b0 + j];
        const distance = a.squares[from]! + b.squares[to]! - 2 * block.values[i * block.columns + j]!;
        if (distance <= radiiA[from]!) {
          inReal[to]!++;
          covered[from] = 1;
        }
        if (distance <= radiiB[to]!) inGenerated[from] = 1;
      }
    }
  }
  const share = (flags: Iterable<number>, of: number) => {
    let inside = 0;
    for (const flag of flags) if (flag > 0) inside++;
    return inside / of;
  };
  return {
    precision: share(inReal, b.count),
    recall: share(inGenerated, a.count),
    density: inReal.reduce((sum, balls) => sum + balls, 0) / (neighbors * b.count),
    coverage: share(covered, a.count),
  };
}

interface CenteredRows extends Rows {
  /** |row|², in float64. */
  readonly squares: Float64Array;
}

function meanOf({ shape: [rows, size], values }: FeatureMatrix): Float64Array {
  const mean = new Float64Array(size);
  for (let i = 0; i < values.length; i++) mean[i % size]! += values[i]! / rows;
  return mean;
}

function centered({ shape: [count, size], values }: FeatureMatrix, center: Float64Array): CenteredRows {
  const shifted = Float32Array.from(values, (value, i) => value - center[i % size]!);
  const squares = new Float64Array(count);
  for (let i = 0; i < shifted.length; i++) squares[Math.floor(i / size)]! += shifted[i]! ** 2;
  return { values: shifted, count, size, squares };
}

/** Squared distance of each row to its k-th nearest other one. */
async function radii(rows: CenteredRows, k: number): Promise<Float64Array> {
  // The k smallest so far of each row, in order.
  const nearest = new Float64Array(rows.count * k).fill(Number.POSITIVE_INFINITY);
  for await (const { values, a0, b0, rows: height, columns } of productBlocks(rows, rows)) {
    for (let i = 0; i < height; i++) {
      const first = (a0 + i) * k;
      for (let j = 0; j < columns; j++) {
        if (a0 + i === b0 + j) continue;
        const distance = rows.squares[a0 + i]! + rows.squares[b0 + j]! - 2 * values[i * columns + j]!;
        if (distance >= nearest[first + k - 1]!) continue;
        let at = first + k - 1;
        for (; at > first && nearest[at - 1]! > distance; at--) nearest[at] = nearest[at - 1]!;
        nearest[at] = distance;
      }
    }
  }
  return Float64Array.from({ length: rows.count }, (_, i) => nearest[(i + 1) * k - 1]!);
}
