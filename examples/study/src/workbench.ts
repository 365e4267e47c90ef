import type { ImageDataset } from '@cm/datasets';
import type { ConsistencyModel } from '@cm/ect';
import type { FeatureStatistics } from '@cm/fid';
import { type ReferenceSet, referenceSet } from '@cm/stable-target';
import type { TrainableNetwork } from '@cm/trainer';
import * as tf from '@tensorflow/tfjs-core';
import { datasetStatistics, loadFeatureExtractor } from '../../quickstart/src/evaluation';
import type { tuning } from '../../quickstart/src/settings';

/** How a network is tuned, as far as experiments do not say. */
export type TuningSettings = Pick<
  typeof tuning,
  'batchSize' | 'learningRate' | 'adam' | 'noise' | 'schedule' | 'c' | 'delta' | 'sigmaRel'
>;

/** The noise level at which samples begin, and the one in the middle of two steps. */
export interface SamplingSettings {
  readonly sigmaMax: number;
  readonly middle: number;
}

/** What experiments are made on: images, a diffusion model of them, and features to measure distances by. */
export interface Subject {
  /** The training images, all of them. */
  loadImages(): Promise<ImageDataset>;
  readonly network: TrainableNetwork;
  /** Parameters of the pretrained diffusion model. The caller's. */
  loadStart(): Promise<tf.NamedTensorMap>;
  /** File of the classifier whose features distances are taken between. */
  readonly classifier: string;
  readonly tuning: { readonly [Key in keyof TuningSettings]: Widened<TuningSettings[Key]> };
  readonly sampling: SamplingSettings;
}

type Widened<T> = T extends number ? number : { readonly [Key in keyof T]: Widened<T[Key]> };

/** A subject, opened. Everything but the images is loaded when it is first asked for, and lives until `dispose`. */
export interface Workbench extends Pick<Subject, 'network' | 'tuning' | 'sampling'> {
  /** The first of the training images. */
  readonly images: ImageDataset;
  /** All of `images` as references. */
  references(): ReferenceSet;
  /** The features between whose distributions distances are taken, and their statistics over the images. */
  features(): Promise<{ extract: (images: tf.Tensor4D) => tf.Tensor2D; reference: FeatureStatistics }>;
  /** Parameters of the pretrained diffusion model. */
  start(): Promise<tf.NamedTensorMap>;
  /** The pretrained diffusion model. */
  diffusion(): Promise<ConsistencyModel>;
  dispose(): void;
}

/** Opens a subject with its first `count` images. */
export async function openWorkbench(subject: Subject, count: number): Promise<Workbench> {
  const { network, tuning, sampling } = subject;
  const all = await subject.loadImages();
  const [total, height, width, channels] = all.shape;
  const kept = Math.min(count, total);
  const images: ImageDataset = {
    ...all,
    images: all.images.subarray(0, kept * height * width * channels),
    shape: [kept, height, width, channels],
    ...(all.labels && { labels: all.labels.slice(0, kept) }),
  };

  const frees: (() => void)[] = [];
  const start = once(async () => {
    const params = await subject.loadStart();
    frees.push(() => tf.dispose(params));
    return params;
  });
  return {
    network,
    tuning,
    sampling,
    images,
    references: once(() => {
      const set = referenceSet(images);
      frees.push(() => set.dispose());
      return set;
    }),
    features: once(async () => {
      const { params, extract } = await loadFeatureExtractor(subject.classifier);
      frees.push(() => tf.dispose(params));
      return { extract, reference: await datasetStatistics(extract, images) };
    }),
    start,
    diffusion: once(async () => {
      const params = await start();
      const weights = network.prepare?.(params).weights ?? params;
      frees.push(() => tf.dispose(weights));
      return network.denoiser(weights);
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
