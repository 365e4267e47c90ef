import { createLoader } from '@cm/datasets';
import { consistencyLoss, consistencyTarget, type Estimator, pseudoHuber } from '@cm/ect';
import { edm2Denoiser, normalizeWeights } from '@cm/edm2-unet';
import { adam, powerFunctionEma } from '@cm/optimizers';
import { key, normal, normalArray, split } from '@cm/random';
import { sampleMultistep } from '@cm/samplers';
import { type ConsistencySchedule, inverseSquareRoot, logNormalNoiseLevels, type Weighting } from '@cm/schedules';
import * as tf from '@tensorflow/tfjs-core';
import { evaluateSampler, type Sampler } from '../../quickstart/src/evaluation';
import { network, sampling, tuning } from '../../quickstart/src/settings';
import { type Denoiser, disposeState, initTrainingState, trainingStep } from '../../quickstart/src/training';
import type { Workbench } from './workbench';

/** What a run of tuning is to try; everything else is the quickstart's. */
export interface Objective {
  readonly estimator: Estimator;
  readonly schedule: ConsistencySchedule;
  readonly weighting: Weighting;
  /** Default: the quickstart's. */
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
  const { batchSize } = tuning;
  const loader = createLoader({ dataset: bench.digits, batchSize, key: split(key(seed), 'loader') });
  const metric = pseudoHuber({ c: tuning.c });
  const learningRate = inverseSquareRoot({
    ...tuning.learningRate,
    ...(objective.learningRate && { lr: objective.learningRate }),
  });
  const emaBeta = powerFunctionEma({ sigmaRel: tuning.sigmaRel });
  const optimizer = adam(tuning.adam);

  let state = initTrainingState(await bench.start(), optimizer);
  while (state.step < steps) {
    const { step } = state;
    const stepKey = split(key(seed), 'step', step);
    const batch = loader.batchAt(step);
    const noise = normal(split(stepKey, 'noise'), batch.images.shape) as tf.Tensor4D;
    const t = logNormalNoiseLevels(normalArray(split(stepKey, 't'), batchSize), tuning.noise);
    const settings = { network, optimizer, learningRate: learningRate(step), emaBeta: emaBeta(step + 1) };
    const result = trainingStep(state, settings, (teacher) => {
      const target = consistencyTarget({
        teacher,
        batch: { images: batch.images, noise, t, indices: batch.indices },
        ...objective,
        iteration: step,
      });
      return { loss: (student) => consistencyLoss(student, target, { metric }), dispose: target.dispose };
    });
    tf.dispose([batch.images, noise]);
    state = result.state;
    onProgress(`step ${state.step} of ${steps}, loss ${result.loss.toPrecision(3)}`);
    if (visitAt.includes(state.step)) await visit(state.step, state.ema);
    // Lets an interrupt in.
    await new Promise(setImmediate);
  }
  disposeState(state);
}

/** Calls `use` with the denoiser of given parameters. */
export async function withDenoiser<T>(params: tf.NamedTensorMap, use: (model: Denoiser) => Promise<T>): Promise<T> {
  const { weights } = normalizeWeights(network, params);
  try {
    return await use(edm2Denoiser(network, weights));
  } finally {
    tf.dispose(weights);
  }
}

/** Shape of a batch of samples. */
export const sampleShape = (count: number) =>
  [count, network.resolution, network.resolution, network.channels] as [number, number, number, number];

/** Fréchet distance of samples from the digits. All samplers start from the same noise. */
export async function distanceOf(bench: Workbench, sampler: Sampler, samples: number): Promise<number> {
  return evaluateSampler(sampler, { ...(await bench.features()), samples, seed: 0 });
}

/** Fréchet distance of a consistency model's samples in one or two steps. */
export function stepsDistance(bench: Workbench, model: Denoiser, steps: 1 | 2, samples: number): Promise<number> {
  const { sigmaMax, middle } = sampling;
  const sampler: Sampler = (seeded) =>
    sampleMultistep(model, {
      ...seeded,
      shape: sampleShape(seeded.seeds.length),
      sigmaMax,
      middle: [...middle[steps]],
    });
  return distanceOf(bench, sampler, samples);
}
