import { createLoader } from '@cm/datasets';
import { type ConsistencyModel, type Estimator, pseudoHuber } from '@cm/ect';
import { adam, powerFunctionEma } from '@cm/optimizers';
import { key, split } from '@cm/random';
import { sampleMultistep } from '@cm/samplers';
import { type ConsistencySchedule, inverseSquareRoot, logNormalNoiseLevels, type Weighting } from '@cm/schedules';
import { consistencyObjective, createTrainer, initialState } from '@cm/trainer';
import type * as tf from '@tensorflow/tfjs-core';
import { evaluateSampler, type Sampler } from '../../quickstart/src/evaluation';
import type { Workbench } from './workbench';

/** What a run of tuning is to try; everything else is the subject's. */
export interface Objective {
  readonly estimator: Estimator;
  readonly schedule: ConsistencySchedule;
  readonly weighting: Weighting;
  /** Times the subject's learning rate. Default 1. */
  readonly learningRate?: number;
}

/** Options of {@link tune}. */
export interface TuneOptions {
  readonly objective: Objective;
  /** Of images, noise and noise levels: runs of one seed see the same. */
  readonly seed: number;
  readonly steps: number;
  /** Called with the averaged parameters after each of these numbers of steps. They are lent: clone what is to stay. */
  readonly visitAt: readonly number[];
  visit(step: number, ema: tf.NamedTensorMap): Promise<void>;
  readonly onProgress: (text: string) => void;
}

/** Tunes the pretrained network. */
export async function tune(bench: Workbench, options: TuneOptions): Promise<void> {
  const { objective, seed, steps, visitAt, visit, onProgress } = options;
  const { batchSize, learningRate, noise, c, sigmaRel, adam: moments } = bench.tuning;
  const { learningRate: factor = 1, ...parts } = objective;
  const optimizer = adam(moments);
  const averages = { ema: powerFunctionEma({ sigmaRel }) };
  const trainer = createTrainer({
    state: initialState({ params: await bench.start(), optimizer, averages, key: key(seed) }),
    network: bench.network,
    objective: consistencyObjective({
      ...parts,
      metric: pseudoHuber({ c }),
      noiseLevels: (normals) => logNormalNoiseLevels(normals, noise),
    }),
    optimizer,
    averages,
    learningRate: inverseSquareRoot({ ...learningRate, lr: factor * learningRate.lr }),
    data: createLoader({ dataset: bench.images, batchSize, key: split(key(seed), 'loader') }),
    batchSize,
    totalImages: steps * batchSize,
  });
  for await (const event of trainer) {
    if (event.type !== 'step') continue;
    onProgress(`step ${event.step} of ${steps}, loss ${event.loss.toPrecision(3)}`);
    if (visitAt.includes(event.step)) await visit(event.step, trainer.state.averages.ema!);
  }
  trainer.dispose();
}

/** Shape of a batch of samples. */
export function sampleShape({ images }: Workbench, count: number): [number, number, number, number] {
  const [, height, width, channels] = images.shape;
  return [count, height, width, channels];
}

/** Fréchet distance of samples from the images. All samplers start from the same noise. */
export async function distanceOf(bench: Workbench, sampler: Sampler, samples: number): Promise<number> {
  return evaluateSampler(sampler, { ...(await bench.features()), samples, seed: 0 });
}

/** Fréchet distance of a consistency model's samples in one or two steps. */
export function stepsDistance(
  bench: Workbench,
  model: ConsistencyModel,
  steps: 1 | 2,
  samples: number,
): Promise<number> {
  const { sigmaMax, middle } = bench.sampling;
  const sampler: Sampler = (seeded) =>
    sampleMultistep(model, {
      ...seeded,
      shape: sampleShape(bench, seeded.seeds.length),
      sigmaMax,
      middle: steps === 1 ? [] : [middle],
    });
  return distanceOf(bench, sampler, samples);
}
