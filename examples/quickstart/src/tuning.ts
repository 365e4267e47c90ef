import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createLoader } from '@cm/datasets';
import { pseudoHuber } from '@cm/ect';
import { adam, powerFunctionEma } from '@cm/optimizers';
import { key, split } from '@cm/random';
import { sampleMultistep } from '@cm/samplers';
import { inverseSquareRoot, logNormalNoiseLevels } from '@cm/schedules';
import { referenceSet } from '@cm/stable-target';
import {
  consistencyObjective,
  createTrainer,
  initialState,
  logTo,
  type TrainingState,
  withDenoiser,
} from '@cm/trainer';
import { jsonLines, loadState, saveState } from '@cm/trainer/node';
import * as tf from '@tensorflow/tfjs-core';
import { readCurve } from './curve';
import { loadDigits } from './digits';
import { datasetStatistics, evaluateSampler, loadFeatureExtractor } from './evaluation';
import { type JobContext, Stopped } from './jobs';
import { type MethodName, methods } from './methods';
import { loadPretrained, trainable } from './network';
import { resultFile, writeResult } from './results';
import { network, sampling, tuning } from './settings';
import type { SampleResult, TuningResult } from './summary';

const pictureFile = (steps: number) => `${steps}-step.png`;

/** The average of the weights that is sampled. */
const average = 'ema';

/** Tunes the pretrained diffusion model by one method, or continues doing so, and leaves pictures and `result.json`. */
export async function tune(name: MethodName, { options, signal, onProgress }: JobContext): Promise<void> {
  const folder = join(options.out, name);
  if (existsSync(resultFile(options.out, name))) return;
  await mkdir(folder, { recursive: true });
  const method = methods[name];
  const { batchSize, steps } = options;

  const digits = await loadDigits(options.data, 'train');
  const classifier = await loadFeatureExtractor();
  const reference = await datasetStatistics(classifier.extract, digits);

  const evaluate = (state: TrainingState, evaluations: keyof typeof sampling.middle) =>
    withDenoiser(trainable, state.averages[average]!, (model) =>
      evaluateSampler(
        ({ key, seeds }) =>
          sampleMultistep(model, {
            shape: [seeds.length, network.resolution, network.resolution, network.channels],
            key,
            seeds,
            sigmaMax: sampling.sigmaMax,
            middle: [...sampling.middle[evaluations]],
          }),
        {
          extract: classifier.extract,
          reference,
          samples: options.samples,
          seed: options.seed,
          ...(state.step === steps && { picture: { folder, file: pictureFile(evaluations) } }),
          onProgress: (step) => onProgress({ activity: `${evaluations}-step samples`, step, steps: options.samples }),
        },
      ),
    );

  const optimizer = adam(tuning.adam);
  const states = join(folder, 'states');
  const state = (await loadState(states)) ?? (await startingState());
  const trainer = createTrainer({
    state,
    network: trainable,
    objective: consistencyObjective({
      estimator: method.estimator(() => referenceSet({ images: digits.images, shape: digits.shape })),
      schedule: method.schedule(tuning.schedule),
      weighting: method.weighting(tuning.delta),
      metric: pseudoHuber({ c: tuning.c }),
      noiseLevels: (normals) => logNormalNoiseLevels(normals, tuning.noise),
    }),
    optimizer,
    averages: { [average]: powerFunctionEma({ sigmaRel: tuning.sigmaRel }) },
    learningRate: inverseSquareRoot(tuning.learningRate),
    data: createLoader({ dataset: digits, batchSize, key: split(key(options.seed), 'loader') }),
    batchSize,
    totalImages: steps * batchSize,
    signal,
    evaluate: {
      every: tuning.evaluateEvery * batchSize,
      run: async (state) => ({ 1: await evaluate(state, 1), 2: await evaluate(state, 2) }),
    },
    save: { every: tuning.saveEvery * batchSize, run: (state) => saveState(states, state, { keep: 1 }) },
  });

  const log = join(folder, 'log.jsonl');
  for await (const event of logTo(trainer, jsonLines(log))) {
    if (event.type === 'step') {
      const { step, loss, imagesPerSecond } = event;
      onProgress({ activity: 'tuning', step, steps, loss, imagesPerSecond });
    }
    if (event.type === 'stopped' && event.reason === 'aborted') throw new Stopped();
  }

  const curve = await readCurve(log);
  const last: Record<number, number> = { ...curve.at(-1)!.frechet, 4: await evaluate(trainer.state, 4) };
  const samples = ([1, 2, 4] as const).map(
    (steps): SampleResult => ({
      steps,
      evaluations: steps,
      frechet: last[steps]!,
      file: `${name}/${pictureFile(steps)}`,
    }),
  );
  const imagesPerSecond = trainer.state.images / trainer.state.seconds;
  await writeResult(options.out, name, { title: method.title, curve, samples, imagesPerSecond } satisfies TuningResult);
  trainer.dispose();

  async function startingState(): Promise<TrainingState> {
    const params = await loadPretrained(options.start);
    const state = initialState({ params, optimizer, averages: { [average]: null }, key: key(options.seed) });
    tf.dispose(params);
    return state;
  }
}
