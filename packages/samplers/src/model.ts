import type { Key } from '@cm/random';
import type * as tf from '@tensorflow/tfjs-core';

/** A denoiser D(x, t): denoised images of noisy ones [batch, height, width, channels] at noise levels t [batch]. */
export type Denoiser = (x: tf.Tensor4D, t: tf.Tensor1D, condition?: tf.Tensor | null) => tf.Tensor4D;

/** What a sampler reports after a step. The tensors are lent: they live until the call returns; clone what is to stay. */
export interface SamplerStep {
  /** The step's number, from 0, and how many there are. An adaptive sampler does not know how many and says `Infinity`. */
  readonly index: number;
  readonly count: number;
  /** The noise level that `x` has now, 0 at the end. An adaptive sampler's images each have their own: it says the largest. */
  readonly noiseLevel: number;
  /** The images so far, with their noise. */
  readonly x: tf.Tensor4D;
  /** The model's latest answer: what the images will be, for previews. */
  readonly denoised: tf.Tensor4D;
}

/** What every sampler is given. */
export interface SampleOptions {
  /** [batch, height, width, channels]. */
  readonly shape: readonly [number, number, number, number];
  /** What all noise comes from. An image depends on the key and its own seed, not on the batch it is drawn in. */
  readonly key: Key;
  /** Seed of each image. Default 0, 1, … */
  readonly seeds?: ArrayLike<number>;
  /** Standard-normal noise to start from, of the given shape, instead of the key's. */
  readonly noise?: tf.Tensor4D;
  /** Images that the first noise is added to, of the given shape: x = start + σ_max·noise. Default 0. */
  readonly start?: tf.Tensor4D;
  /** Condition of each image, first axis the batch's: handed to the model as it is. */
  readonly condition?: tf.Tensor;
  /** Noise level that sampling starts from. Default 80. */
  readonly sigmaMax?: number;
  /** Called after every step. */
  readonly onStep?: (step: SamplerStep) => void;
  /** Stops sampling before the next evaluation: the sampler throws the signal's reason, and leaves no tensors. */
  readonly signal?: AbortSignal;
}
