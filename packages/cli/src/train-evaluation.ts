import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '@cm/checkpoints/node';
import { type ImageDataset, toFloat } from '@cm/datasets';
import {
  computeStatistics,
  type FeatureExtractor,
  frechetDistance,
  type Gaussian,
  inceptionExtractor,
  writeStatistics,
} from '@cm/fid';
import { findInceptionWeights, loadInception, readStatisticsFile } from '@cm/fid/node';
import { toPixels } from '@cm/samplers';
import { type TrainingState, withDenoiser } from '@cm/trainer';
import * as tf from '@tensorflow/tfjs-core';
import { gridPng } from './image-grid';
import type { Network } from './network';
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

/** Statistics of the training images: of a file, or else of the run folder, where they are put when they are not there. */
export async function referenceStatistics(
  { extract }: Extractor,
  { images: source }: TrainingData,
  { given, folder, onProgress }: { given?: string; folder: string; onProgress: (done: number, total: number) => void },
): Promise<Gaussian> {
  const path = given ?? join(folder, 'reference.npz');
  const found = given !== undefined || existsSync(path) ? await readStatisticsFile(path) : undefined;
  if (found) return found;
  if (given !== undefined) throw new Error(`${given}: has no statistics, expected mu and sigma`);
  const [count, ...shape] = source.shape;
  async function* batches() {
    for (let from = 0; from < count; from += FEATURE_BATCH) {
      const rows = Math.min(FEATURE_BATCH, count - from);
      yield toFloat(await bytesOf(source, from, rows), [rows, ...shape]);
      onProgress(from + rows, count);
    }
  }
  const statistics = await computeStatistics(extract, batches());
  await writeFileAtomically(path, writeStatistics({ ...statistics, count }));
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
}

/**
 * Evaluation in training: a grid of samples for each way of sampling, `samples/<images>-<n>-step.png`, and `frechetDistance<n>`. The same seeds every
 * time, so that pictures and distances change with the model alone; classes take turns.
 */
export function evaluator({ network, recipe, run, folder, average, distance }: EvaluatorOptions) {
  const noise = noiseOf(run.seed);
  return async (state: TrainingState): Promise<Record<string, number>> => {
    const metrics: Record<string, number> = {};
    await mkdir(join(folder, 'samples'), { recursive: true });
    await withDenoiser(network, state.averages[average]!, async (model) => {
      for (const { steps, draw } of samplingsOf(recipe, run.sigmaMax)) {
        const batches = (count: number) =>
          drawn({ model, draw, network, noise, numbers: firstNumbers(count), batch: run.microBatch });
        const pixels: Uint8Array[] = [];
        for (const images of batches(run.gridImages)) {
          pixels.push(toPixels(images));
          tf.dispose(images);
        }
        const name = `${String(state.images).padStart(12, '0')}-${steps}-step.png`;
        const png = gridPng(Buffer.concat(pixels), [run.gridImages, ...network.imageShape]);
        await writeFileAtomically(join(folder, 'samples', name), png);
        if (!distance) continue;
        const statistics = await computeStatistics(distance.extract, batches(run.evaluationImages));
        metrics[`frechetDistance${steps}`] = frechetDistance(statistics, distance.reference);
      }
    });
    return metrics;
  };
}
