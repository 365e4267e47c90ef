import { join } from 'node:path';
import { toTensors } from '@cm/checkpoints';
import { readSafetensorsFile } from '@cm/checkpoints/node';
import { type ImageDataset, toFloat } from '@cm/datasets';
import { computeStatistics, type FeatureStatistics, frechetDistance } from '@cm/fid';
import { key } from '@cm/random';
import * as tf from '@tensorflow/tfjs-core';
import { classifierFeatures } from './classifier';
import { writeGrid } from './pictures';
import { assets, evaluation } from './settings';
import type { SampleResult } from './summary';

/** Draws the samples with the given seeds. A seed's sample depends on nothing but the seed. */
export type Sampler = (options: { key: ReturnType<typeof key>; seeds: number[] }) => tf.Tensor4D;

/** The feature extractor behind every Fréchet distance of this example. The caller frees `params`. */
export async function loadFeatureExtractor(path = assets.classifier) {
  const params = toTensors((await readSafetensorsFile(path)).tensors);
  return { params, extract: (images: tf.Tensor4D) => classifierFeatures(params, images) };
}

/** Feature statistics of a whole data set. */
export async function datasetStatistics(
  extract: (images: tf.Tensor4D) => tf.Tensor2D,
  { images, shape }: ImageDataset,
  batchSize = 500,
): Promise<FeatureStatistics> {
  const [count, height, width, channels] = shape;
  const size = height * width * channels;
  function* batches() {
    for (let start = 0; start < count; start += batchSize) {
      const end = Math.min(start + batchSize, count);
      yield toFloat(images.subarray(start * size, end * size), [end - start, height, width, channels]);
    }
  }
  return computeStatistics(extract, batches());
}

/** Draws samples 0, 1, … with keyed seeds and takes their distance from the reference; the first ones become a picture. */
export async function evaluateSampler(
  sampler: Sampler,
  options: {
    extract: (images: tf.Tensor4D) => tf.Tensor2D;
    reference: FeatureStatistics;
    samples: number;
    seed: number;
    picture?: { folder: string; file: string };
    onProgress?: (drawn: number) => void;
  },
): Promise<number> {
  const { samples, picture } = options;
  const grid = evaluation.gridSize ** 2;
  let first: tf.Tensor4D | undefined;
  async function* batches() {
    for (let start = 0; start < samples; start += evaluation.batchSize) {
      const size = Math.min(evaluation.batchSize, samples - start);
      const images = sampler({ key: key(options.seed), seeds: Array.from({ length: size }, (_, i) => start + i) });
      first ??= tf.slice(images, 0, Math.min(grid, size));
      yield images;
      options.onProgress?.(start + size);
      await new Promise(setImmediate);
    }
  }
  const statistics = await computeStatistics(options.extract, batches());
  if (picture) {
    await writeGrid(join(picture.folder, picture.file), first!, {
      columns: evaluation.gridSize,
      rows: evaluation.gridSize,
    });
  }
  tf.dispose(first);
  return frechetDistance(statistics, options.reference);
}

export type { SampleResult };
