import { type Key, normalRows, split } from '@cm/random';
import * as tf from '@tensorflow/tfjs-core';

/** A denoiser D(x, t): denoised images of noisy ones [batch, height, width, channels] at noise levels t [batch]. */
export type Denoiser = (x: tf.Tensor4D, t: tf.Tensor1D, condition?: tf.Tensor | null) => tf.Tensor4D;

/** What every sampler is given. */
export interface SampleOptions {
  /** [batch, height, width, channels]. */
  readonly shape: readonly [number, number, number, number];
  /** What all noise comes from. An image depends on the key and its own seed, not on the batch it is drawn in. */
  readonly key: Key;
  /** Seed of each image. Default 0, 1, … */
  readonly seeds?: ArrayLike<number>;
  /** Condition of each image, first axis the batch's. */
  readonly condition?: tf.Tensor;
  /** Noise level that sampling starts from. Default 80. */
  readonly sigmaMax?: number;
  /** Called after every step with the images so far, which it must not dispose. */
  readonly onStep?: (step: { readonly index: number; readonly count: number; readonly images: tf.Tensor4D }) => void;
  /** Stops sampling: the sampler throws the signal's reason, and leaves no tensors. */
  readonly signal?: AbortSignal;
}

/** What a sampler's steps need, checked and ready. */
export interface Sampling {
  readonly batch: number;
  readonly sigmaMax: number;
  /** Standard-normal noise of a step: the first, of which all start, is 0. */
  noise(step: number): tf.Tensor4D;
  denoise(x: tf.Tensor4D, t: number): tf.Tensor4D;
  /** To be called after each step. */
  finished(index: number, count: number, images: tf.Tensor4D): void;
}

/** Checks options and gathers what steps need. */
export function prepare(where: string, model: Denoiser, options: SampleOptions): Sampling {
  const { shape, key, condition, sigmaMax = 80, onStep, signal } = options;
  const batch = shape[0];
  if (shape.length !== 4 || shape.some((extent) => !(Number.isInteger(extent) && extent > 0))) {
    throw new Error(`${where}: shape is [${shape}], expected [batch, height, width, channels]`);
  }
  const seeds = options.seeds ?? Array.from({ length: batch }, (_, i) => i);
  if (seeds.length !== batch) throw new Error(`${where}: seeds has ${seeds.length} entries, expected batch ${batch}`);
  if (condition && condition.shape[0] !== batch) {
    throw new Error(`${where}: condition has ${condition.shape[0]} entries, expected batch ${batch}`);
  }
  level(where, 'sigmaMax', sigmaMax);
  return {
    batch,
    sigmaMax,
    noise: (step) => normalRows(split(key, 'sampler', step), seeds, shape.slice(1)) as tf.Tensor4D,
    denoise: (x, t) => {
      signal?.throwIfAborted();
      return model(x, tf.fill([batch], t), condition);
    },
    finished: (index, count, images) => onStep?.({ index, count, images }),
  };
}

/** Checks a noise level. */
export function level(where: string, name: string, value: number): void {
  if (!(value > 0 && value < Number.POSITIVE_INFINITY)) {
    throw new Error(`${where}: ${name} is ${value}, expected a finite noise level above 0`);
  }
}
