import { type FileTensor, openCheckpoint, tensorsOf, toFloat32, writeNpz } from '@cm/checkpoints';
import type { FeatureStatistics } from './statistics';

/** Mean and covariance of features: all that a Fréchet distance takes. */
export type Gaussian = Pick<FeatureStatistics, 'mean' | 'covariance'>;

/** What a statistics file has. */
export interface StoredStatistics extends Gaussian {
  /** Images that they are of, where the file tells: those of this package do. */
  readonly count?: number;
  /** The same of sFID's spatial features, where the file has them: ADM's do. */
  readonly spatial?: Gaussian;
}

/** Which statistics are meant, where a file has several: those of FID's network or of FD-DINOv2's. */
export type StatisticsKind = 'fid' | 'fd_dinov2';

/**
 * Reads statistics of any of the tools: `mu` and `sigma` of pytorch-fid's, EDM's and clean-fid's `.npz` and of torch-fidelity's cached `.pt`; with
 * `mu_s` and `sigma_s` beside them of ADM's; `fid.mu` and `fid.sigma`, or `fd_dinov2.mu` and `fd_dinov2.sigma`, of EDM2's pickle. Pickles are read
 * as data. Single precision is taken as it is.
 *
 * @param kind Which of EDM2's. Default 'fid'.
 * @throws Error when there are no `mu` and `sigma`, their shapes do not fit, a number is NaN or infinite, or sigma is not symmetric;
 *   CheckpointError when the file is in no known format, or damaged.
 */
export function readStatistics(bytes: Uint8Array, kind: StatisticsKind = 'fid'): StoredStatistics {
  const { tree } = openCheckpoint(bytes);
  // Of the tree: EDM2's other statistics are beside these.
  const { num_images: count } = tree as { num_images?: unknown };
  return {
    ...statisticsOf(tensorsOf(tree), kind),
    ...(typeof count === 'number' && { count }),
  };
}

/** The statistics among the arrays of a file. @throws Error as {@link readStatistics}. */
export function statisticsOf(
  tensors: Readonly<Record<string, FileTensor>>,
  kind: StatisticsKind = 'fid',
): StoredStatistics {
  const prefix = ['', `${kind}.`].find((start) => tensors[`${start}mu`] && tensors[`${start}sigma`]);
  if (prefix === undefined) {
    throw new Error(`readStatistics: the file has ${listOf(tensors)}, expected mu and sigma`);
  }
  const count = tensors.count;
  return {
    ...gaussian(tensors, `${prefix}mu`, `${prefix}sigma`),
    ...(count && count.shape.length === 0 && { count: doubles(count)[0]! }),
    ...(tensors.mu_s && tensors.sigma_s && { spatial: gaussian(tensors, 'mu_s', 'sigma_s') }),
  };
}

/**
 * The bytes of a `.npz` file that pytorch-fid, EDM, ADM and clean-fid read: `mu` and `sigma` in float64, `count`, `mu_s` and `sigma_s`.
 *
 * @example
 * ```ts
 * import { readStatistics, writeStatistics } from '@cm/fid';
 *
 * const file = writeStatistics({ mean: Float64Array.of(1), covariance: Float64Array.of(2), count: 50_000 });
 * const { mean, covariance, count } = readStatistics(file);
 * console.log(mean, covariance, count); // [1] [2] 50000
 * ```
 */
export function writeStatistics({ mean, covariance, count, spatial }: StoredStatistics): Uint8Array {
  return writeNpz({
    mu: array(mean, [mean.length]),
    sigma: array(covariance, [mean.length, mean.length]),
    ...(count !== undefined && { count: array(Float64Array.of(count), []) }),
    ...(spatial && {
      mu_s: array(spatial.mean, [spatial.mean.length]),
      sigma_s: array(spatial.covariance, [spatial.mean.length, spatial.mean.length]),
    }),
  });
}

const array = (values: Float64Array, shape: readonly number[]): FileTensor => ({
  dtype: 'F64',
  shape,
  data: new Uint8Array(values.slice().buffer),
});

function gaussian(tensors: Readonly<Record<string, FileTensor>>, mu: string, sigma: string): Gaussian {
  const [mean, covariance] = [tensors[mu]!, tensors[sigma]!];
  const size = mean.shape[0] ?? 0;
  if (mean.shape.length !== 1 || `${covariance.shape}` !== `${[size, size]}`) {
    throw new Error(
      `readStatistics: ${mu} has shape [${mean.shape}] and ${sigma} [${covariance.shape}], expected [size] and [size, size]`,
    );
  }
  const found = { mean: doubles(mean), covariance: doubles(covariance) };
  for (const [name, values] of [
    [mu, found.mean],
    [sigma, found.covariance],
  ] as const) {
    const bad = values.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) throw new Error(`readStatistics: ${name} holds ${values[bad]} at ${bad}, expected finite numbers`);
  }
  requireSymmetric(sigma, found.covariance, size);
  return found;
}

/** A covariance is symmetric but for rounding, in single precision at worst. */
function requireSymmetric(name: string, matrix: Float64Array, size: number): void {
  const largest = matrix.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < i; j++) {
      const [below, above] = [matrix[i * size + j]!, matrix[j * size + i]!];
      if (Math.abs(below - above) > 1e-5 * largest) {
        throw new Error(
          `readStatistics: ${name} has ${below} at [${i}, ${j}] and ${above} at [${j}, ${i}], expected a symmetric matrix`,
        );
      }
    }
  }
}

function doubles({ dtype, data }: FileTensor): Float64Array {
  if (dtype === 'F64') return new Float64Array(data.slice().buffer);
  return Float64Array.from(toFloat32(data, dtype));
}

function listOf(tensors: Readonly<Record<string, FileTensor>>): string {
  const names = Object.keys(tensors);
  return names.length === 0 ? 'no arrays' : names.slice(0, 5).join(', ') + (names.length > 5 ? ', …' : '');
}
