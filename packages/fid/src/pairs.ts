import type { FeatureMatrix } from './statistics';

/** Throws unless two matrices of features are comparable: as many columns, two rows at least, finite. */
export function requireComparable(where: string, a: FeatureMatrix, b: FeatureMatrix): void {
  if (a.shape[1] !== b.shape[1]) {
    throw new RangeError(`${where}: the features have ${a.shape[1]} and ${b.shape[1]} columns, expected as many`);
  }
  for (const {
    shape: [rows, size],
    values,
  } of [a, b]) {
    if (rows < 2) throw new RangeError(`${where}: features of ${rows} images, expected at least 2`);
    if (values.length !== rows * size) {
      throw new RangeError(`${where}: features has ${values.length} values, expected [${rows}, ${size}]`);
    }
    if (!values.every(Number.isFinite)) {
      throw new RangeError(`${where}: the features hold NaN or infinite values, expected finite ones`);
    }
  }
}

/** The rows of two matrices of features in float64; throws unless they are comparable. */
export function pairUp(where: string, a: FeatureMatrix, b: FeatureMatrix): [Float64Array[], Float64Array[]] {
  requireComparable(where, a, b);
  const rowsOf = ({ shape: [rows, size], values }: FeatureMatrix) =>
    Array.from({ length: rows }, (_, row) => Float64Array.from(values.subarray(row * size, (row + 1) * size)));
  return [rowsOf(a), rowsOf(b)];
}
