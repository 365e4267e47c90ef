import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '@cm/checkpoints/node';
import { type ImageDataset, toFloat } from '@cm/datasets';
import { type FeatureExtractor, frechetDistance, type Gaussian, inceptionExtractor, writeStatistics } from '@cm/fid';
import { findInceptionWeights, loadInception, readStatisticsFile } from '@cm/fid/node';
import { toPixels } from '@cm/samplers';
import { type Communicator, inFirst, type TrainingState, withDenoiser } from '@cm/trainer';
import * as tf from '@tensorflow/tfjs-core';
import { sharedStatistics } from './fid-share';
import { gridPng } from './image-grid';
import type { Network } from './network';
import { shareOf } from './processes';
import { drawn, firstNumbers, noiseOf, samplingsOf } from './sampling';
import type { RunSettings } from './train-config';
import type { TrainingData } from './train-data';
import type { TrainRecipe } from './train-recipe';

/** What makes features of images, for Fréchet distances. */
export interface Extractor {
  readonly name: string;
  readonly extract: FeatureExtractor;
  dispose(): void;
}

/** FID's network where its weights are in a cache. @throws Error that says what to fetch. */
export async function inception(): Promise<Extractor> {
  const weights = await loadInception({ path: await findInceptionWeights() });
  return {
    name: 'inception-2015-12-05',
    extract: inceptionExtractor(weights),
    dispose: () => tf.dispose(weights.tensors),
  };
}

/** Images that the extractor sees at once. */
const FEATURE_BATCH = 50;

/** Where statistics of the training images are, and who makes them. */
export interface ReferenceOptions {
  /** A statistics file, to be used as it is. */
  readonly given?: string;
  /** The run folder, where they are put when they are not there. */
  readonly folder: string;
  /** The processes that share the images. Default: this one is alone. */
  readonly communicator?: Communicator;
  readonly onProgress: (done: number, total: number) => void;
}

/** Statistics of the training images: of a file, or else of the run folder. */
export async function referenceStatistics(
  extract: FeatureExtractor,
  { images: source }: TrainingData,
  { given, folder, communicator, onProgress }: ReferenceOptions,
): Promise<Gaussian> {
  const path = given ?? join(folder, 'reference.npz');
  if (given !== undefined || (await inFirst(communicator, async () => existsSync(path)))) {
    const found = await readStatisticsFile(path);
    if (!found) throw new Error(`${path}: has no statistics, expected mu and sigma`);
    return found;
  }
  const [count, ...shape] = source.shape;
  const [first, end] = shareOf(communicator, count, FEATURE_BATCH);
  async function* batches() {
    for (let from = first; from < end; from += FEATURE_BATCH) {
      const rows = Math.min(FEATURE_BATCH, end - from);
      yield toFloat(await bytesOf(source, from, rows), [rows, ...shape]);
      onProgress(from + rows - first, end - first);
    }
  }
  const statistics = await sharedStatistics(communicator, extract, batches);
  await inFirst(communicator, () => writeFileAtomically(path, writeStatistics({ ...statistics, count })));
  return statistics;
}

async function bytesOf(source: TrainingData['images'], from: number, rows: number): Promise<Uint8Array> {
  if ('read' in source) return source.read(Array.from({ length: rows }, (_, i) => from + i));
  const { images, shape } = source as ImageDataset;
  const size = images.length / shape[0];
  return images.subarray(from * size, (from + rows) * size);
}

/** Options of {@link evaluator}. */
export interface EvaluatorOptions {
  readonly network: Network;
  readonly recipe: TrainRecipe;
  readonly run: RunSettings;
  /** The run folder. */
  readonly folder: string;
  /** The average that is sampled. */
  readonly average: string;
  /** Where there is one, distances are measured. */
  readonly distance?: { readonly extract: FeatureExtractor; readonly reference: Gaussian };
  /** The processes that share the samples of a distance. Default: this one is alone. */
  readonly communicator?: Communicator;
}

/**
 * Evaluation in training: a grid of samples for each way of sampling, `samples/<images>-<n>-step.png`, and `frechetDistance<n>`. The same seeds every
 * time, so that pictures and distances change with the model alone; classes take turns. Process 0 draws the grid; all share the samples of a distance, in
 * whole batches, so that it is that of one process, up to the rounding of float64.
 */
export function evaluator({
  network,
  recipe,
  run,
  folder,
  average,
  distance,
  communicator,
}: EvaluatorOptions): (state: TrainingState) => Promise<Record<string, number>> {
  const noise = noiseOf(run.seed);
  const writeGrid = async (name: string, batches: Iterable<tf.Tensor4D>) => {
    const pixels: Uint8Array[] = [];
    for (const images of batches) {
      pixels.push(toPixels(images));
      tf.dispose(images);
    }
    await mkdir(join(folder, 'samples'), { recursive: true });
    const png = gridPng(Buffer.concat(pixels), [run.gridImages, ...network.imageShape]);
    await writeFileAtomically(join(folder, 'samples', name), png);
  };
  return async (state) => {
    const metrics: Record<string, number> = {};
    await withDenoiser(network, state.averages[average]!, async (model) => {
      for (const { steps, draw } of samplingsOf(recipe, run.sigmaMax)) {
        const batches = (numbers: readonly number[]) =>
          drawn({ model, draw, network, noise, numbers, batch: run.microBatch });
        const name = `${String(state.images).padStart(12, '0')}-${steps}-step.png`;
        await inFirst(communicator, () => writeGrid(name, batches(firstNumbers(run.gridImages))));
        if (!distance) continue;
        const own = firstNumbers(run.evaluationImages).slice(
          ...shareOf(communicator, run.evaluationImages, run.microBatch),
        );
        const statistics = await sharedStatistics(communicator, distance.extract, () => batches(own));
        metrics[`frechetDistance${steps}`] = await inFirst(communicator, async () =>
          frechetDistance(statistics, distance.reference),
        );
      }
    });
    return metrics;
  };
}
