import { readFile, stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { readNpz } from '@cm/checkpoints';
import { writeFileAtomically } from '@cm/checkpoints/node';
import {
  type FeatureAccumulator,
  type FeatureExtractor,
  type FeatureMatrix,
  featureAccumulator,
  frechetDistance,
  type Gaussian,
  type InceptionFeature,
  type InceptionWeights,
  inceptionExtractor,
  inceptionFeatureSize,
  inceptionScore,
  kidOverSubsets,
  manifoldMetrics,
  readStatistics,
  resampleBicubic,
  type StoredStatistics,
  writeStatistics,
} from '@cm/fid';
import { featureChunks, loadInception, openImages } from '@cm/fid/node';
import * as tf from '@tensorflow/tfjs-core';
import { useBackend } from './backend';

/** Metrics of {@link fid}: Fréchet distances, kernel distance, Inception score, precision and recall, density and coverage. */
export const metricNames = ['fid', 'sfid', 'kid', 'is', 'pr', 'dc'] as const;
export type MetricName = (typeof metricNames)[number];

/** How features are made of images. */
export interface FeatureOptions {
  /** File of the Inception-v3 weights. Default: looked for in the caches. */
  readonly weights?: string;
  /** SHA-256 that it must have. Default: the published file's. */
  readonly sha256?: string;
  /** `legacy`: the network's own bilinear resizing; `clean`: Pillow's bicubic one before it. Default 'legacy'. */
  readonly resize?: 'legacy' | 'clean';
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

interface SetOfImages {
  readonly images: number | null;
  readonly fid?: Gaussian;
  readonly sfid?: Gaussian;
  readonly features?: FeatureMatrix;
  readonly logits?: FeatureMatrix;
}

/** The features that each metric is of. */
const featuresOf: Readonly<Record<MetricName, InceptionFeature>> = {
  fid: '2048',
  sfid: 'spatial',
  kid: '2048',
  is: 'logits_unbiased',
  pr: '2048',
  dc: '2048',
};
const ofSamples = new Set<MetricName>(['kid', 'pr', 'dc']);

/**
 * Compares generated images with real ones. Either may be a folder, a zip, a `.npz` of images, or a statistics file, which serves Fréchet
 * distances alone.
 *
 * @throws Error when a metric needs images and has statistics, the statistics do not fit, an image is damaged, or weights are missing.
 */
export async function fid(
  real: string,
  fake: string,
  metrics: readonly MetricName[] = ['fid'],
  options: FeatureOptions = {},
): Promise<Evaluation> {
  const network = await networkOf(options);
  try {
    // The Inception score is of the generated images alone.
    const a = await read(
      real,
      metrics.filter((name) => name !== 'is'),
      network,
      options,
    );
    const b = await read(fake, metrics, network, options);
    const values: Record<string, number> = {};
    if (metrics.includes('fid')) values.fid = frechetDistance(a.fid!, b.fid!);
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
    return {
      real: { path: real, images: a.images },
      fake: { path: fake, images: b.images },
      metrics: values,
      settings: { network: 'inception-2015-12-05', resize: options.resize ?? 'legacy', backend: network.backend },
    };
  } finally {
    network.dispose();
  }
}

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
  const network = await networkOf(options);
  try {
    const { images, ...found } = await read(data, spatial ? ['fid', 'sfid'] : ['fid'], network, options);
    const stored: StoredStatistics = {
      ...found.fid!,
      ...(images !== null && { count: images }),
      ...(found.sfid && { spatial: found.sfid }),
    };
    await writeFileAtomically(to, writeStatistics(stored));
    return images ?? 0;
  } finally {
    network.dispose();
  }
}

interface Network {
  readonly backend: string;
  /** The weights, loaded when first asked for: two statistics files need none. */
  weights(): Promise<InceptionWeights>;
  dispose(): void;
}

async function networkOf({ weights, sha256, backend, threads, resize = 'legacy' }: FeatureOptions): Promise<Network> {
  if (resize !== 'legacy' && resize !== 'clean') throw new Error(`--resize is ${resize}, expected legacy or clean`);
  const name = await useBackend(backend, threads);
  let loaded: InceptionWeights | undefined;
  return {
    backend: name,
    async weights() {
      loaded ??= await loadInception({ ...(weights && { path: weights }), ...(sha256 && { sha256 }) });
      return loaded;
    },
    dispose: () => tf.dispose(loaded?.tensors ?? {}),
  };
}

async function read(
  path: string,
  metrics: readonly MetricName[],
  network: Network,
  { resize = 'legacy', batch = 32, cache, sha256, onProgress }: FeatureOptions,
): Promise<SetOfImages> {
  const stored = await statisticsOf(path);
  if (stored) {
    const needy = metrics.find((name) => name !== 'fid' && name !== 'sfid');
    if (needy) throw new Error(`${path} has statistics alone, which ${needy} cannot be told from: images are needed`);
    if (metrics.includes('sfid') && !stored.spatial)
      throw new Error(`${path} lacks mu_s and sigma_s, which sfid is of`);
    return { images: stored.count ?? null, fid: stored, ...(stored.spatial && { sfid: stored.spatial }) };
  }
  const source = await openImages(path);
  if (metrics.length === 0) return { images: source.count };
  const names = [...new Set(metrics.map((name) => featuresOf[name]))].sort();
  const inception = inceptionExtractor(await network.weights(), ...names);
  const extract: FeatureExtractor =
    resize === 'clean' ? (images) => tf.tidy(() => inception(resampleBicubic(images, [299, 299]))) : inception;
  const start = performance.now();
  const kept: Record<string, FeatureMatrix[]> = {};
  const moments: Partial<Record<MetricName, FeatureAccumulator>> = {};
  const key = `inception-2015-12-05 ${sha256 ?? 'published'} ${names} ${resize}`;
  const chunks = featureChunks(source, extract, {
    batch,
    ...(cache && { cache: { folder: cache, key } }),
    onProgress: (done, total) => onProgress?.(path, done, total, (1000 * done) / (performance.now() - start)),
  });
  for await (const chunk of chunks) {
    let from = 0;
    for (const name of names) {
      const part = columns(chunk, from, inceptionFeatureSize[name]);
      from += inceptionFeatureSize[name];
      for (const metric of metrics) {
        if (featuresOf[metric] !== name) continue;
        if (metric === 'fid' || metric === 'sfid') {
          moments[metric] ??= featureAccumulator(inceptionFeatureSize[name]);
          moments[metric].add(part);
        }
      }
      const whole = metrics.some((metric) => featuresOf[metric] === name && (metric === 'is' || ofSamples.has(metric)));
      if (whole) {
        kept[name] ??= [];
        kept[name].push(part);
      }
    }
  }
  return {
    images: source.count,
    ...(moments.fid && { fid: moments.fid.statistics() }),
    ...(moments.sfid && { sfid: moments.sfid.statistics() }),
    ...(kept[2048] && { features: stacked(kept[2048]) }),
    ...(kept.logits_unbiased && { logits: stacked(kept.logits_unbiased) }),
  };
}

/** What a statistics file has; undefined for images. */
async function statisticsOf(path: string): Promise<StoredStatistics | undefined> {
  const extension = extname(path);
  if (!['.npz', '.pkl'].includes(extension) || !(await stat(path)).isFile()) return undefined;
  const bytes = new Uint8Array(await readFile(path));
  if (extension === '.npz' && !('mu' in readNpz(bytes))) return undefined;
  try {
    return readStatistics(bytes);
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

function columns({ shape: [rows, size], values }: FeatureMatrix, from: number, count: number): FeatureMatrix {
  if (count === size) return { shape: [rows, size], values };
  const part = new Float32Array(rows * count);
  for (let i = 0; i < rows; i++) part.set(values.subarray(i * size + from, i * size + from + count), i * count);
  return { shape: [rows, count], values: part };
}

function stacked(parts: readonly FeatureMatrix[]): FeatureMatrix {
  const size = parts[0]!.shape[1];
  const values = new Float32Array(parts.reduce((sum, part) => sum + part.values.length, 0));
  let at = 0;
  for (const part of parts) {
    values.set(part.values, at);
    at += part.values.length;
  }
  return { shape: [values.length / size, size], values };
}
