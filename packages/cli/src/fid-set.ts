import {
  type FeatureAccumulator,
  type FeatureMatrix,
  featureAccumulator,
  type Gaussian,
  type StoredStatistics,
} from '@cm/fid';
import { featureChunks, type ImageSource, openImages, readStatisticsFile } from '@cm/fid/node';
import type { Communicator } from '@cm/trainer';
import type { MetricName, Network, Resize } from './fid-network';
import { gatheredFeatures, mergedMoments, partOf } from './fid-share';
import { shareOf } from './processes';

/** What metrics are computed from. */
export interface Features {
  readonly fid?: Gaussian;
  readonly sfid?: Gaussian;
  /** Of every image. */
  readonly features?: FeatureMatrix;
  readonly logits?: FeatureMatrix;
}

/** What is known of one of the two sets of images. */
export interface SetOfImages extends Features {
  /** null where a statistics file does not tell. */
  readonly images: number | null;
}

/** How features are made of images, defaults filled in. */
export interface ReadOptions {
  readonly network: Network;
  /** Name of the backend. */
  readonly backend: string;
  readonly resize: Resize;
  readonly batch: number;
  readonly cache?: string;
  /** The processes that share the images. Default: this one is alone. */
  readonly communicator?: Communicator;
  readonly onProgress?: (path: string, done: number, total: number, imagesPerSecond: number) => void;
}

/**
 * What the given metrics need of a folder, zip, array of images or statistics file.
 *
 * @throws Error when a metric needs images and has statistics, the network has no features for it, or an image is damaged.
 */
export async function readSet(
  path: string,
  metrics: readonly MetricName[],
  options: ReadOptions,
): Promise<SetOfImages> {
  requireFeatures(metrics, options.network);
  const stored = await readStatisticsFile(path, options.network.distance);
  const needy = metrics.find((name) => name !== 'fid' && name !== 'sfid');
  if (stored && !needy) return ofStatistics(path, metrics, stored);
  const source = await openImages(path).catch((error) => {
    if (!stored) throw error;
    throw new Error(`${path} has statistics alone, which ${needy} cannot be told from: images are needed`);
  });
  if (metrics.length === 0) return { images: source.count };
  const own = partOf(source, ...shareOf(options.communicator, source.count, options.batch));
  return { ...(await setOfImages(path, own, metrics, options)), images: source.count };
}

function ofStatistics(path: string, metrics: readonly MetricName[], stored: StoredStatistics): SetOfImages {
  if (metrics.includes('sfid') && !stored.spatial) throw new Error(`${path} lacks mu_s and sigma_s, which sfid is of`);
  return { images: stored.count ?? null, fid: stored, ...(stored.spatial && { sfid: stored.spatial }) };
}

/** @throws Error when the network has no features for a metric. */
export function requireFeatures(metrics: readonly MetricName[], network: Network): void {
  const without = metrics.find((name) => network.featureOf(name) === undefined);
  if (without) throw new Error(`--metrics has ${without}, which ${network.name} has no features for`);
}

/**
 * What the given metrics need of images: those of `source`, and of the other processes' sources.
 *
 * @param path What messages and progress call them.
 * @throws Error when an image is damaged, or weights are missing.
 */
export async function setOfImages(
  path: string,
  source: ImageSource,
  metrics: readonly MetricName[],
  { network, backend, resize, batch, cache, communicator, onProgress }: ReadOptions,
): Promise<Features> {
  const names = [...new Set(metrics.map((metric) => network.featureOf(metric)!))].sort();
  const extract = await network.extractor(names, resize);
  const start = performance.now();
  const part = communicator ? [`part ${communicator.rank + 1} of ${communicator.size}`] : [];
  const key = [network.name, network.sha256, names.join('+'), resize, backend, ...part].join(' ');
  const chunks = featureChunks(source, extract, {
    batch,
    ...(cache && { cache: { folder: cache, key } }),
    onProgress: (done, total) => onProgress?.(path, done, total, (1000 * done) / (performance.now() - start)),
  });
  const isFrechet = (metric: MetricName) => metric === 'fid' || metric === 'sfid';
  const moments: Partial<Record<MetricName, FeatureAccumulator>> = {};
  for (const metric of metrics.filter(isFrechet)) {
    moments[metric] = featureAccumulator(network.sizeOf(network.featureOf(metric)!));
  }
  // The others need the features of every image.
  const needed = new Set(metrics.filter((metric) => !isFrechet(metric)).map((metric) => network.featureOf(metric)!));
  const kept: Record<string, FeatureMatrix[]> = Object.fromEntries([...needed].map((name) => [name, []]));
  for await (const chunk of chunks) {
    let from = 0;
    for (const name of names) {
      const part = columns(chunk, from, network.sizeOf(name));
      from += network.sizeOf(name);
      for (const metric of metrics) if (network.featureOf(metric) === name) moments[metric]?.add(part);
      kept[name]?.push(part);
    }
  }
  const result: { fid?: Gaussian; sfid?: Gaussian } = {};
  for (const metric of ['fid', 'sfid'] as const) {
    const own = moments[metric];
    if (own) result[metric] = (communicator ? await mergedMoments(communicator, own) : own).statistics();
  }
  const all: Record<string, FeatureMatrix> = {};
  for (const [name, parts] of Object.entries(kept)) {
    const own = stacked(parts, network.sizeOf(name));
    all[name] = communicator ? stacked(await gatheredFeatures(communicator, own), network.sizeOf(name)) : own;
  }
  const [features, logits] = [all[network.featureOf('kid')!], all[network.featureOf('is') ?? '']];
  return { ...result, ...(features && { features }), ...(logits && { logits }) };
}

function columns({ shape: [rows, size], values }: FeatureMatrix, from: number, count: number): FeatureMatrix {
  if (count === size) return { shape: [rows, size], values };
  const part = new Float32Array(rows * count);
  for (let i = 0; i < rows; i++) part.set(values.subarray(i * size + from, i * size + from + count), i * count);
  return { shape: [rows, count], values: part };
}

function stacked(parts: readonly FeatureMatrix[], size: number): FeatureMatrix {
  const values = new Float32Array(parts.reduce((sum, part) => sum + part.values.length, 0));
  let at = 0;
  for (const part of parts) {
    values.set(part.values, at);
    at += part.values.length;
  }
  return { shape: [values.length / size, size], values };
}
