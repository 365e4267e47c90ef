import type { ImageDataset } from '@cm/datasets';
import type { FeatureStatistics } from '@cm/fid';
import { type ReferenceSet, referenceSet } from '@cm/stable-target';
import * as tf from '@tensorflow/tfjs-core';
import { loadDigits, mnistFolder } from '../../quickstart/src/digits';
import { datasetStatistics, loadFeatureExtractor } from '../../quickstart/src/evaluation';
import { loadDiffusionModel, loadPretrained } from '../../quickstart/src/network';
import { assets } from '../../quickstart/src/settings';
import type { Denoiser } from '../../quickstart/src/training';

/** What the experiments share. Everything but the images is loaded when it is first asked for, and lives until `dispose`. */
export interface Workbench {
  /** MNIST at 16 × 16: the first of its training images. */
  readonly digits: ImageDataset;
  /** All of them as references. */
  references(): ReferenceSet;
  /** The features between whose distributions distances are taken, and their statistics over the digits. */
  features(): Promise<{ extract: (images: tf.Tensor4D) => tf.Tensor2D; reference: FeatureStatistics }>;
  /** Parameters of the pretrained diffusion model. */
  start(): Promise<tf.NamedTensorMap>;
  /** The pretrained diffusion model. */
  diffusion(): Promise<Denoiser>;
  dispose(): void;
}

/** Opens the quickstart's digits, pretrained network and classifier. */
export async function openWorkbench(count: number): Promise<Workbench> {
  const all = await loadDigits(mnistFolder(), 'train');
  const [total, height, width, channels] = all.shape;
  const images = Math.min(count, total);
  const digits: ImageDataset = {
    ...all,
    images: all.images.subarray(0, images * height * width * channels),
    shape: [images, height, width, channels],
    ...(all.labels && { labels: all.labels.slice(0, images) }),
  };

  const frees: (() => void)[] = [];
  return {
    digits,
    references: once(() => {
      const set = referenceSet(digits);
      frees.push(() => set.dispose());
      return set;
    }),
    features: once(async () => {
      const { params, extract } = await loadFeatureExtractor();
      frees.push(() => tf.dispose(params));
      return { extract, reference: await datasetStatistics(extract, digits) };
    }),
    start: once(async () => {
      const params = await loadPretrained(assets.diffusion);
      frees.push(() => tf.dispose(params));
      return params;
    }),
    diffusion: once(async () => {
      const { model, weights } = await loadDiffusionModel(assets.diffusion);
      frees.push(() => tf.dispose(weights));
      return model;
    }),
    dispose: () => {
      for (const free of frees) free();
    },
  };
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
