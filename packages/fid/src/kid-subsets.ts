import { key, permutation, split } from '@cm/random';
import type { PolynomialKernel } from './kid';
import { requireComparable } from './pairs';
import { productBlocks, type Rows } from './products';
import type { FeatureMatrix } from './statistics';

/** How {@link kidOverSubsets} draws. */
export interface KidSubsetsOptions extends PolynomialKernel {
  /** Number of subsets. Default 100. */
  readonly subsets?: number;
  /** Images of each set in a subset, from 2. Default 1,000. */
  readonly size?: number;
  /** Decides which. Default 0. */
  readonly seed?: number;
}

/** Mean over subsets, and how far single subsets lie from it. */
export interface KidOverSubsets {
  readonly mean: number;
  /** √(mean of squared differences from the mean). */
  readonly standardDeviation: number;
}

/**
 * KID as papers report it: the mean of the unbiased estimate over random subsets of both sets, drawn without replacement. Products are
 * taken in float32 by the current backend, and summed in float64.
 *
 * @throws RangeError when a set has fewer than `size` rows, a value is NaN or infinite, or the two have not as many features.
 * @see Bińkowski et al. 2018, _Demystifying MMD GANs_, section 4; defaults of torch-fidelity.
 */
export async function kidOverSubsets(
  a: FeatureMatrix,
  b: FeatureMatrix,
  { subsets = 100, size = 1000, seed = 0, degree = 3, gamma = 1 / a.shape[1], coefficient = 1 }: KidSubsetsOptions = {},
): Promise<KidOverSubsets> {
  requireComparable('kidOverSubsets', a, b);
  if (!(Number.isInteger(subsets) && subsets >= 1)) {
    throw new RangeError(`kidOverSubsets: subsets is ${subsets}, expected a whole number from 1`);
  }
  const most = Math.min(a.shape[0], b.shape[0]);
  if (!(Number.isInteger(size) && size >= 2 && size <= most)) {
    throw new RangeError(`kidOverSubsets: size is ${size}, expected 2 to ${most}, the images of the smaller set`);
  }
  const kernelSum = async (x: Rows, y: Rows) => {
    let sum = 0;
    let diagonal = 0;
    for await (const { values, a0, b0, rows, columns } of productBlocks(x, y)) {
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < columns; j++) {
          const k = (gamma * values[i * columns + j]! + coefficient) ** degree;
          sum += k;
          if (a0 + i === b0 + j) diagonal += k;
        }
      }
    }
    return { sum, diagonal };
  };
  const estimates: number[] = [];
  for (let i = 0; i < subsets; i++) {
    const x = draw(a, size, split(key(seed), 2 * i));
    const y = draw(b, size, split(key(seed), 2 * i + 1));
    const [xx, yy, xy] = [await kernelSum(x, x), await kernelSum(y, y), await kernelSum(x, y)];
    const within = (xx.sum - xx.diagonal + yy.sum - yy.diagonal) / (size * (size - 1));
    estimates.push(within - (2 * xy.sum) / size ** 2);
  }
  const mean = estimates.reduce((sum, value) => sum + value, 0) / subsets;
  const variance = estimates.reduce((sum, value) => sum + (value - mean) ** 2, 0) / subsets;
  return { mean, standardDeviation: Math.sqrt(variance) };
}

function draw({ shape: [rows, size], values }: FeatureMatrix, count: number, from: ReturnType<typeof key>): Rows {
  const order = permutation(from, rows);
  const drawn = new Float32Array(count * size);
  for (let i = 0; i < count; i++) drawn.set(values.subarray(order[i]! * size, (order[i]! + 1) * size), i * size);
  return { values: drawn, count, size };
}
