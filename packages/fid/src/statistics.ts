/** Features of images, one row each. */
export interface FeatureMatrix {
  /** [images, features of one image]. */
  readonly shape: readonly [rows: number, size: number];
  /** Row-major. */
  readonly values: Float32Array | Float64Array;
}

/** The Gaussian that a Fréchet distance sees: mean and covariance of features. */
export interface FeatureStatistics {
  /** Number of images, at least 2. */
  readonly count: number;
  /** [size]. */
  readonly mean: Float64Array;
  /** Σ (f − mean)(f − mean)ᵀ / (count − 1): [size, size], symmetric. */
  readonly covariance: Float64Array;
}

/** The same before the division, which any number of images has and which adds up over parts: {@link mergeMoments}. */
export interface FeatureMoments {
  readonly count: number;
  /** [size]. */
  readonly mean: Float64Array;
  /** Σ (f − mean)(f − mean)ᵀ: [size, size], symmetric. */
  readonly scatter: Float64Array;
}

/** Takes features batch by batch; the result does not depend on how they are cut into batches, but for rounding in float64. */
export interface FeatureAccumulator {
  /**
   * Takes a batch.
   *
   * @throws RangeError when its features are not as many as the accumulator's, or one is NaN or infinite: then nothing is taken.
   */
  add(features: FeatureMatrix): void;
  /** Takes what another accumulator, in another process say, has seen. @throws RangeError when its features are not as many. */
  merge(moments: FeatureMoments): void;
  /** What has been seen so far, copied. */
  moments(): FeatureMoments;
  /** Mean and covariance of what has been seen so far. @throws RangeError when that is fewer than two images. */
  statistics(): FeatureStatistics;
}

/**
 * An empty accumulator of features, in float64. Each batch is centred at its own mean, and merged by Chan, Golub and LeVeque's
 * update, so that nothing cancels however far the mean is from zero.
 *
 * @param size Features of one image: a whole number from 1.
 *
 * @example
 * ```ts
 * import { featureAccumulator, mergeMoments } from '@cm/fid';
 *
 * const [a, b] = [featureAccumulator(1), featureAccumulator(1)]; // say, of two processes
 * a.add({ shape: [2, 1], values: Float32Array.of(1, 2) });
 * b.add({ shape: [2, 1], values: Float32Array.of(3, 4) });
 * console.log(mergeMoments(a.moments(), b.moments()).mean); // [2.5]
 * ```
 */
export function featureAccumulator(size: number): FeatureAccumulator {
  if (!(Number.isInteger(size) && size >= 1)) {
    throw new RangeError(`featureAccumulator: size is ${size}, expected a whole number from 1`);
  }
  let count = 0;
  const mean = new Float64Array(size);
  /** The upper triangle of the scatter, and zeros below. */
  const upper = new Float64Array(size * size);

  /** Makes room for `added` images of the given mean: Chan's term between the two means, and the mean of all. */
  const shift = (added: number, to: Float64Array) => {
    const total = count + added;
    const difference = mean.map((from, i) => to[i]! - from);
    addOuterProducts(upper, [difference], (count * added) / total);
    for (let i = 0; i < size; i++) mean[i]! += (difference[i]! * added) / total;
    count = total;
  };

  return {
    add({ shape: [rows, columns], values }) {
      if (columns !== size || values.length !== rows * columns) {
        throw new RangeError(
          `add: features is ${values.length} values of shape [${rows}, ${columns}], expected [*, ${size}]`,
        );
      }
      if (rows === 0) return;
      const bad = values.findIndex((value) => !Number.isFinite(value));
      if (bad >= 0) {
        throw new RangeError(
          `add: feature ${bad % size} of row ${Math.floor(bad / size)} is ${values[bad]}, expected a finite number`,
        );
      }
      const vectors = Array.from({ length: rows }, (_, row) =>
        Float64Array.from(values.subarray(row * size, (row + 1) * size)),
      );
      const center = new Float64Array(size);
      for (const vector of vectors) for (let i = 0; i < size; i++) center[i]! += vector[i]! / rows;
      for (const vector of vectors) for (let i = 0; i < size; i++) vector[i]! -= center[i]!;
      shift(rows, center);
      addOuterProducts(upper, vectors, 1);
    },
    merge(other) {
      if (other.mean.length !== size) {
        throw new RangeError(`merge: moments have ${other.mean.length} features, expected ${size}`);
      }
      if (other.count === 0) return;
      shift(other.count, other.mean);
      for (let i = 0; i < size; i++) {
        for (let at = i * (size + 1); at < (i + 1) * size; at++) upper[at]! += other.scatter[at]!;
      }
    },
    moments: () => ({ count, mean: mean.slice(), scatter: symmetric(upper, size, 1) }),
    statistics() {
      if (count < 2) throw new RangeError(`statistics: features of ${count} images, expected at least 2`);
      return { count, mean: mean.slice(), covariance: symmetric(upper, size, 1 / (count - 1)) };
    },
  };
}

/**
 * Mean and covariance of a matrix of features.
 *
 * @throws RangeError when it has fewer than two rows, or a value is NaN or infinite.
 */
export function featureStatistics(features: FeatureMatrix): FeatureStatistics {
  const accumulator = featureAccumulator(features.shape[1]);
  accumulator.add(features);
  return accumulator.statistics();
}

/** Moments of two sets of images together. @throws RangeError when their features are not as many. */
export function mergeMoments(a: FeatureMoments, b: FeatureMoments): FeatureMoments {
  const accumulator = featureAccumulator(a.mean.length);
  accumulator.merge(a);
  accumulator.merge(b);
  return accumulator.moments();
}

/** Adds factor · Σ x xᵀ over the given vectors to the upper triangle of a matrix: four vectors for each time it is read. */
function addOuterProducts(upper: Float64Array, vectors: readonly Float64Array[], factor: number): void {
  const size = vectors[0]!.length;
  const none = new Float64Array(size);
  for (let i = 0; i < size; i++) {
    const row = upper.subarray(i * size, (i + 1) * size);
    for (let v = 0; v < vectors.length; v += 4) {
      const x0 = vectors[v]!;
      const x1 = vectors[v + 1] ?? none;
      const x2 = vectors[v + 2] ?? none;
      const x3 = vectors[v + 3] ?? none;
      const a0 = factor * x0[i]!;
      const a1 = factor * x1[i]!;
      const a2 = factor * x2[i]!;
      const a3 = factor * x3[i]!;
      for (let j = i; j < size; j++) row[j]! += a0 * x0[j]! + a1 * x1[j]! + a2 * x2[j]! + a3 * x3[j]!;
    }
  }
}

/** The symmetric matrix of an upper triangle, times a factor. */
function symmetric(upper: Float64Array, size: number, factor: number): Float64Array {
  const matrix = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    for (let j = i; j < size; j++) {
      const value = upper[i * size + j]! * factor;
      matrix[i * size + j] = value;
      matrix[j * size + i] = value;
    }
  }
  return matrix;
}
