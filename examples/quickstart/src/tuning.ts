import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createLoader } from '@cm/datasets';
import { consistencyLoss, consistencyTarget, pseudoHuber } from '@cm/ect';
import { edm2Denoiser, normalizeWeights } from '@cm/edm2-unet';
import { adam, type Optimizer, powerFunctionEma } from '@cm/optimizers';
import { key, normal, normalArray, split } from '@cm/random';
import { sampleMultistep } from '@cm/samplers';
import { inverseSquareRoot, logNormalNoiseLevels } from '@cm/schedules';
import { referenceSet } from '@cm/stable-target';
import * as tf from '@tensorflow/tfjs-core';
import { loadDigits } from './digits';
import { datasetStatistics, evaluateSampler, loadFeatureExtractor } from './evaluation';
import { type JobContext, Stopped } from './jobs';
import { type MethodName, methods } from './methods';
import { loadPretrained } from './network';
import { resultFile, writeResult } from './results';
import { loadRun, saveRun } from './run-folder';
import { network, sampling, tuning } from './settings';
import type { CurvePoint, SampleResult, TuningResult } from './summary';
import { disposeState, initTrainingState, trainingStep } from './training';

const pictureFile = (steps: number) => `${steps}-step.png`;

/** What a run remembers besides its tensors. */
interface History {
  readonly curve: CurvePoint[];
  readonly trainingSeconds: number;
}

/** Tunes the pretrained diffusion model by one method, or continues doing so, and leaves pictures and `result.json`. */
export async function tune(name: MethodName, { options, signal, onProgress }: JobContext): Promise<void> {
  const folder = join(options.out, name);
  if (existsSync(resultFile(options.out, name))) return;
  await mkdir(folder, { recursive: true });
  const method = methods[name];

  const digits = await loadDigits(options.data, 'train');
  const classifier = await loadFeatureExtractor();
  const reference = await datasetStatistics(classifier.extract, digits);
  const loader = createLoader({
    dataset: digits,
    batchSize: options.batchSize,
    key: split(key(options.seed), 'loader'),
  });
  const estimator = method.estimator(() => referenceSet({ images: digits.images, shape: digits.shape }));
  const schedule = method.schedule(tuning.schedule);
  const weighting = method.weighting(tuning.delta);
  const metric = pseudoHuber({ c: tuning.c });
  const learningRate = inverseSquareRoot(tuning.learningRate);
  const emaBeta = powerFunctionEma({ sigmaRel: tuning.sigmaRel });
  const optimizer = adam(tuning.adam);

  const saved = await loadRun<History>(folder);
  let state = saved?.state ?? (await startingState(options.start, optimizer));
  const curve = saved?.history.curve ?? [];
  let trainingSeconds = saved?.history.trainingSeconds ?? 0;

  const evaluate = (steps: keyof typeof sampling.middle, picture: boolean) => {
    const { weights } = normalizeWeights(network, state.ema);
    const model = edm2Denoiser(network, weights);
    const distance = evaluateSampler(
      ({ key, seeds }) =>
        sampleMultistep(model, {
          shape: [seeds.length, network.resolution, network.resolution, network.channels],
          key,
          seeds,
          sigmaMax: sampling.sigmaMax,
          middle: [...sampling.middle[steps]],
        }),
      {
        extract: classifier.extract,
        reference,
        samples: options.samples,
        seed: options.seed,
        ...(picture && { picture: { folder, file: pictureFile(steps) } }),
        onProgress: (step) => onProgress({ activity: `${steps}-step samples`, step, steps: options.samples }),
      },
    );
    return distance.finally(() => tf.dispose(weights));
  };

  const save = () => saveRun<History>(folder, { state, history: { curve, trainingSeconds } });

  for (;;) {
    const due = state.step % tuning.evaluateEvery === 0 || state.step === options.steps;
    if (due && curve.at(-1)?.step !== state.step) {
      const picture = state.step === options.steps;
      curve.push({ step: state.step, frechet: { 1: await evaluate(1, picture), 2: await evaluate(2, picture) } });
      await save();
    }
    if (state.step >= options.steps) break;
    if (signal.aborted) {
      await save();
      throw new Stopped();
    }

    const begun = performance.now();
    const result = tuningStep();
    state = result.state;
    const seconds = (performance.now() - begun) / 1000;
    trainingSeconds += seconds;
    onProgress({
      activity: 'tuning',
      step: state.step,
      steps: options.steps,
      loss: result.loss,
      imagesPerSecond: options.batchSize / seconds,
    });
    if (state.step % tuning.saveEvery === 0) await save();
    // Lets messages from the parent in.
    await new Promise(setImmediate);
  }

  const last: Record<number, number> = { ...curve.at(-1)!.frechet, 4: await evaluate(4, true) };
  const samples = ([1, 2, 4] as const).map((steps): SampleResult => {
    return { steps, evaluations: steps, frechet: last[steps]!, file: `${name}/${pictureFile(steps)}` };
  });
  const imagesPerSecond = (options.steps * options.batchSize) / trainingSeconds;
  await writeResult(options.out, name, { title: method.title, curve, samples, imagesPerSecond } satisfies TuningResult);
  disposeState(state);

  function tuningStep() {
    const { step } = state;
    const stepKey = split(key(options.seed), 'step', step);
    const batch = loader.batchAt(step);
    const noise = normal(split(stepKey, 'noise'), batch.images.shape) as tf.Tensor4D;
    const t = logNormalNoiseLevels(normalArray(split(stepKey, 't'), options.batchSize), tuning.noise);
    return trainingStep(
      state,
      { network, optimizer, learningRate: learningRate(step), emaBeta: emaBeta(step + 1) },
      (teacher) => {
        const target = consistencyTarget({
          teacher,
          batch: { images: batch.images, noise, t, indices: batch.indices },
          estimator,
          schedule,
          weighting,
          iteration: step,
        });
        return {
          loss: (student) => consistencyLoss(student, target, { metric }),
          dispose: () => {
            target.dispose();
            tf.dispose([batch.images, noise]);
          },
        };
      },
    );
  }
}

async function startingState(path: string, optimizer: Optimizer) {
  const params = await loadPretrained(path);
  const state = initTrainingState(params, optimizer);
  tf.dispose(params);
  return state;
}
