import { extname } from 'node:path';
import { writeFileAtomically } from '@cm/checkpoints/node';
import {
  frechetDistance,
  inceptionScore,
  kidOverSubsets,
  manifoldMetrics,
  type StoredStatistics,
  writeStatistics,
} from '@cm/fid';
import { useBackend } from './backend';
import { type MetricName, type Network, type NetworkName, networkOf, type Resize } from './fid-network';
import { type Features, type ReadOptions, readSet } from './fid-set';
import { isFirst, processGroup } from './processes';

export { type MetricName, metricNames, type NetworkName, networkNames, type Resize } from './fid-network';

/** How features are made of images. */
export interface FeatureOptions {
  /** The network. Default 'inception', FID's. */
  readonly features?: NetworkName;
  /** File of its weights. Default: looked for in the caches. */
  readonly weights?: string;
  /** SHA-256 that it must have. Default: the published file's. */
  readonly sha256?: string;
  /**
   * `legacy`: Inception-v3's own bilinear resizing, or for DINOv2 Pillow's bicubic one rounded to bytes; `clean`: Pillow's bicubic one in single
   * precision before the network. Default 'legacy'.
   */
  readonly resize?: Resize;
  /** Images in one pass. Default 32. */
  readonly batch?: number;
  readonly backend?: string;
  readonly threads?: number;
  /** Folder that keeps features; a run that was stopped goes on where it was. Default: none are kept. */
  readonly cache?: string;
  /** Told what has been done of a set of images, and how fast. */
  readonly onProgress?: (path: string, done: number, total: number, imagesPerSecond: number) => void;
}

/** What {@link fid} measured. */
export interface Evaluation {
  readonly real: { readonly path: string; readonly images: number | null };
  readonly fake: { readonly path: string; readonly images: number | null };
  readonly metrics: Readonly<Record<string, number>>;
  /** What the numbers depend on beside the images. */
  readonly settings: { readonly network: string; readonly resize: string; readonly backend: string };
}

/**
 * Compares generated images with real ones. Either may be a folder, a zip, a `.npz` of images, or a statistics file, which serves Fréchet
 * distances alone. Of DINOv2's features the Fréchet distance is called `fd_dinov2`.
 *
 * @throws Error when a metric needs images and has statistics, the statistics do not fit, an image is damaged, or weights are missing.
 */
export function fid(
  real: string,
  fake: string,
  metrics: readonly MetricName[] = ['fid'],
  options: FeatureOptions = {},
): Promise<Evaluation> {
  return withNetwork(options, async (read) => {
    const [a, b] = [await readSet(real, metricsOfBoth(metrics), read), await readSet(fake, metrics, read)];
    const values = await compare(a, b, metrics, read.network);
    return {
      real: { path: real, images: a.images },
      fake: { path: fake, images: b.images },
      metrics: values,
      settings: { network: read.network.name, resize: read.resize, backend: read.backend },
    };
  });
}

/** The values of metrics of generated images, `b`, against real ones, `a`: by name, several of some metrics. */
export async function compare(
  a: Features,
  b: Features,
  metrics: readonly MetricName[],
  network: Network,
): Promise<Record<string, number>> {
  const values: Record<string, number> = {};
  if (metrics.includes('fid')) values[network.distance] = frechetDistance(a.fid!, b.fid!);
  if (metrics.includes('sfid')) values.sfid = frechetDistance(a.sfid!, b.sfid!);
  if (metrics.includes('kid')) {
    const size = Math.min(1000, a.features!.shape[0], b.features!.shape[0]);
    const { mean, standardDeviation } = await kidOverSubsets(a.features!, b.features!, { size });
    Object.assign(values, { kid: mean, kidStandardDeviation: standardDeviation, kidSubsetSize: size });
  }
  if (metrics.includes('is')) {
    const { mean, standardDeviation } = inceptionScore(b.logits!, { splits: Math.min(10, b.logits!.shape[0]) });
    Object.assign(values, { inceptionScore: mean, inceptionScoreStandardDeviation: standardDeviation });
  }
  if (metrics.includes('pr')) {
    const { precision, recall } = await manifoldMetrics(a.features!, b.features!);
    Object.assign(values, { precision, recall });
  }
  if (metrics.includes('dc')) {
    const { density, coverage } = await manifoldMetrics(a.features!, b.features!, { neighbors: 5 });
    Object.assign(values, { density, coverage });
  }
  return values;
}

/** The metrics that both sets are needed for: the Inception score is of the generated images alone. */
export const metricsOfBoth = (metrics: readonly MetricName[]): MetricName[] => metrics.filter((name) => name !== 'is');

/**
 * Writes the statistics of images to a `.npz` that other tools read too.
 *
 * @returns how many images
 */
export async function stats(
  data: string,
  to: string,
  { spatial = false, ...options }: FeatureOptions & { readonly spatial?: boolean } = {},
): Promise<number> {
  if (extname(to) !== '.npz') throw new Error(`${to} ends with "${extname(to)}", expected .npz`);
  return withNetwork(options, async (read) => {
    const { images, ...found } = await readSet(data, spatial ? ['fid', 'sfid'] : ['fid'], read);
    const stored: StoredStatistics = {
      ...found.fid!,
      ...(images !== null && { count: images }),
      ...(found.sfid && { spatial: found.sfid }),
    };
    if (isFirst()) await writeFileAtomically(to, writeStatistics(stored));
    return images ?? 0;
  });
}

/** Sets backend and network up as options say, and frees the network afterwards. */
export async function withNetwork<T>(
  { features = 'inception', weights, sha256, resize = 'legacy', batch = 32, ...options }: FeatureOptions,
  use: (read: ReadOptions) => Promise<T>,
): Promise<T> {
  if (resize !== 'legacy' && resize !== 'clean') throw new Error(`--resize is ${resize}, expected legacy or clean`);
  const { cache, onProgress } = options;
  const network = networkOf(features, { ...(weights && { path: weights }), ...(sha256 && { sha256 }) });
  const backend = await useBackend(options.backend, options.threads);
  const communicator = await processGroup(backend);
  try {
    return await use({
      network,
      backend,
      resize,
      batch,
      ...(cache && { cache }),
      ...(communicator && { communicator }),
      ...(onProgress && { onProgress }),
    });
  } finally {
    network.dispose();
  }
}
