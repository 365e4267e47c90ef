import { key } from '@cm/random';
import { type Denoiser, guided, type SampleOptions, sampleHeun, sampleMultistep } from '@cm/samplers';
import * as tf from '@tensorflow/tfjs-core';
import type { Models, Steps } from './models';
import { noiseAt, type Position } from './noise-map';

/** Which noises to make images of. */
export interface Noises {
  readonly seed: number;
  readonly positions: readonly Position[];
}

/** How the consistency model is asked. */
export interface Manner {
  readonly steps: Steps;
  /** Guidance strength w of Eq. 18 in Karras's convention: 1 is off. */
  readonly strength: number;
}

/** Images, and what they cost. */
export interface Generated {
  /** Values in about [−1, 1], image after image, row-major. */
  readonly values: Float32Array;
  /** Calls of a network. */
  readonly evaluations: number;
  /** From asking to having the values in main memory. */
  readonly milliseconds: number;
}

/** Steps of Heun's method that the diffusion model takes. */
export const diffusionSteps = 18;

/** Images by the consistency model. All get the same fresh noise in steps after the first, so that they change with their position alone. */
export function byConsistency(models: Models, noises: Noises, { steps, strength }: Manner): Promise<Generated> {
  const { sampling } = models;
  return measured((count) => {
    const model = guided(count(models.generator), count(models.guide), { strength });
    return withOptions(models, noises, (options) =>
      sampleMultistep(model, { ...options, sigmaMax: sampling.sigmaMax, middle: sampling.middle[steps] }),
    );
  });
}

/** Images by the diffusion model, from the same noises at the same level: EDM's sampler without added noise. */
export function byDiffusion(models: Models, noises: Noises): Promise<Generated> {
  const { sigmaMax, sigmaMin } = models.sampling;
  return measured((count) =>
    withOptions(models, noises, (options) =>
      sampleHeun(count(models.diffusion), { ...options, sigmaMax, sigmaMin, steps: diffusionSteps }),
    ),
  );
}

function withOptions(models: Models, { seed, positions }: Noises, sample: (options: SampleOptions) => tf.Tensor4D) {
  const [height, width, channels] = models.imageShape;
  const shape: [number, number, number, number] = [positions.length, height, width, channels];
  return tf.tidy(() => {
    const noise = tf.tensor4d(noiseAt(seed, positions, height * width * channels), shape);
    return sample({ shape, key: key(seed), seeds: positions.map(() => 0), noise });
  });
}

async function measured(sample: (count: (model: Denoiser) => Denoiser) => tf.Tensor4D): Promise<Generated> {
  let evaluations = 0;
  const count =
    (model: Denoiser): Denoiser =>
    (...input) => {
      evaluations++;
      return model(...input);
    };
  const start = performance.now();
  const images = sample(count);
  const values = (await images.data()) as Float32Array;
  images.dispose();
  return { values, evaluations, milliseconds: performance.now() - start };
}
