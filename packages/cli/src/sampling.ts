import { type Key, key, split } from '@cm/random';
import {
  type Denoiser,
  type SampleOptions,
  sampleHeun,
  sampleMultistep,
  sampleOneStep,
  samplePhased,
} from '@cm/samplers';
import { phaseGrid } from '@cm/schedules';
import * as tf from '@tensorflow/tfjs-core';
import type { Network } from './network';
import type { TrainRecipe } from './train-recipe';

/** A way of sampling. */
export interface Sampling {
  readonly steps: number;
  /** Evaluations of the model. */
  readonly evaluations: number;
  /** The sampler and its numbers, in words. */
  readonly name: string;
  readonly draw: (model: Denoiser, options: SampleOptions) => tf.Tensor4D;
}

/** How models of a recipe are sampled: in one and in two steps, or in as many as it has phases. */
export function samplingsOf({ phases, eta = 0.9, middle }: TrainRecipe, sigmaMax: number): Sampling[] {
  if (phases > 1) {
    const grid = phaseGrid({ phases });
    const draw: Sampling['draw'] = (model, options) => samplePhased(model, { ...options, phases: grid, eta });
    return [{ steps: phases, evaluations: phases, name: `${phases} phases, η ${eta}`, draw }];
  }
  const one: Sampling = {
    steps: 1,
    evaluations: 1,
    name: `one step from ${sigmaMax}`,
    draw: (model, options) => sampleOneStep(model, { ...options, sigmaMax }),
  };
  if (middle === undefined) return [one];
  const draw: Sampling['draw'] = (model, options) => sampleMultistep(model, { ...options, sigmaMax, middle: [middle] });
  return [one, { steps: 2, evaluations: 2, name: `two steps from ${sigmaMax}, middle ${middle}`, draw }];
}

/** Heun's method with EDM's noise levels: how diffusion models are sampled. */
export function heunSampling(steps: number, sigmaMax: number): Sampling {
  return {
    steps,
    evaluations: 2 * steps - 1,
    name: `Heun, ${steps} steps from ${sigmaMax}`,
    draw: (model, options) => sampleHeun(model, { ...options, steps, sigmaMax }),
  };
}

/** What all noise of a seed's samples comes from: those drawn in training and those of the commands, so that both show the same pictures. */
export const noiseOf = (seed: number): Key => split(key(seed), 'evaluation');

/** What {@link drawn} draws. */
export interface Drawing {
  readonly model: Denoiser;
  readonly draw: Sampling['draw'];
  readonly network: Network;
  readonly noise: Key;
  /** Numbers of the images; each is its own seed, whatever the batch. */
  readonly numbers: readonly number[];
  readonly batch: number;
  /** Class of all images. Default: classes take turns. */
  readonly label?: number;
}

/** Samples of the given numbers, batch by batch; the receiver's. */
export function* drawn({
  model,
  draw,
  network,
  noise,
  numbers,
  batch,
  label,
}: Drawing): Generator<tf.Tensor4D, void, undefined> {
  const { imageShape, classes } = network;
  for (let begin = 0; begin < numbers.length; begin += batch) {
    const seeds = numbers.slice(begin, begin + batch);
    yield tf.tidy(() => {
      const labels = seeds.map((seed) => label ?? labelOf(seed, classes));
      const condition = classes > 0 && { condition: tf.tensor1d(labels, 'int32') };
      return draw(model, { shape: [seeds.length, ...imageShape], key: noise, seeds, ...condition });
    });
  }
}

/** The class of an image where all take turns. */
export const labelOf = (number: number, classes: number): number => number % classes;

/** 0, 1, …, count − 1. */
export const firstNumbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
