import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fromTensors, writeSafetensors } from '@cm/checkpoints';
import { writeFileAtomically } from '@cm/checkpoints/node';
import { createLoader, type ImageDataset } from '@cm/datasets';
import { initEdm2, toCheckpoint } from '@cm/edm2-unet';
import { valueAndGrads } from '@cm/gradients';
import { adam, powerFunctionEma } from '@cm/optimizers';
import { key, normal, normalArray, split } from '@cm/random';
import { edmWeighting, inverseSquareRoot, logNormalNoiseLevels } from '@cm/schedules';
import * as tf from '@tensorflow/tfjs-core';
import { SingleBar } from 'cli-progress';
import { Command } from 'commander';
import { classifierLogits, initClassifier } from './classifier';
import { loadDigits, mnistFolder } from './digits';
import { startEngine } from './engine';
import { assets, network, pretraining } from './settings';
import { initTrainingState, trainingStep } from './training';

// Makes the files in assets/: the diffusion model that the quickstart tunes, and the classifier whose features it
// takes Fréchet distances between.

const seed = key(20241018);

/** Trains the classifier on the digits; returns its parameters. */
async function trainClassifier(digits: ImageDataset, epochs = 3, batchSize = 100): Promise<tf.NamedTensorMap> {
  const loader = createLoader({ dataset: digits, batchSize, key: split(seed, 'classifier loader') });
  const optimizer = adam({ beta1: 0.9, beta2: 0.999 });
  let params = initClassifier(split(seed, 'classifier'));
  let state = optimizer.init(params);
  const steps = Math.floor((epochs * digits.shape[0]) / batchSize);
  const bar = startBar('classifier', steps);
  for (let step = 0; step < steps; step++) {
    const { images, labels } = loader.batchAt(step);
    const oneHot = tf.tidy(() => tf.oneHot(tf.tensor1d(Array.from(labels!), 'int32'), 10));
    const { value, grads } = valueAndGrads(
      (p) =>
        tf.tidy(() =>
          tf.neg(tf.mean(tf.sum(tf.mul(tf.logSoftmax(classifierLogits(p, images)), oneHot), 1))),
        ) as tf.Scalar,
      params,
    );
    const learningRate = 2e-3 * (1 - step / steps);
    const next = optimizer.update(params, grads, state, { learningRate });
    bar.update(step + 1, { loss: value.dataSync()[0]!.toFixed(4) });
    tf.dispose([params, state.m, state.v, grads, value, images, oneHot]);
    ({ params, state } = next);
    await new Promise(setImmediate);
  }
  bar.stop();
  tf.dispose([state.m, state.v]);
  return params;
}

/** The share of a data set that the classifier names rightly. */
function accuracy(params: tf.NamedTensorMap, digits: ImageDataset): number {
  const loader = createLoader({ dataset: digits, batchSize: 500, key: seed });
  let right = 0;
  for (let step = 0; step < digits.shape[0] / 500; step++) {
    const { images, labels } = loader.batchAt(step);
    const named = tf.tidy(() => tf.argMax(classifierLogits(params, images), 1).dataSync());
    right += named.filter((label, i) => label === labels![i]).length;
    tf.dispose(images);
  }
  return right / digits.shape[0];
}

/** Trains the network as an EDM diffusion model: the denoising error, weighted by (σ² + σ_d²)/(σ·σ_d)². Returns its EMA. */
async function trainDiffusion(digits: ImageDataset, steps: number): Promise<tf.NamedTensorMap> {
  const { batchSize, noise: noiseRange, sigmaRel } = pretraining;
  const loader = createLoader({ dataset: digits, batchSize, key: split(seed, 'loader') });
  const learningRate = inverseSquareRoot(pretraining.learningRate);
  const weighting = edmWeighting({ sigmaData: network.sigmaData });
  const emaBeta = powerFunctionEma({ sigmaRel });
  const optimizer = adam({ beta1: 0.9, beta2: 0.99 });
  const params = initEdm2(network, split(seed, 'network'));
  let state = initTrainingState(params, optimizer);
  tf.dispose(params);

  const bar = startBar('diffusion', steps);
  let smoothed = 0;
  while (state.step < steps) {
    const { step } = state;
    const { images } = loader.batchAt(step);
    const noise = normal(split(seed, 'noise', step), images.shape);
    const levels = logNormalNoiseLevels(normalArray(split(seed, 'levels', step), batchSize), noiseRange);
    const t = tf.tensor1d(levels);
    const weight = tf.tensor(
      levels.map((t) => weighting({ t, r: 0, ratio: 0, gap: t, edge: 0 })),
      [batchSize, 1, 1, 1],
    );
    const noisy = tf.tidy(() => tf.add(images, tf.mul(noise, tf.reshape(t, [-1, 1, 1, 1])))) as tf.Tensor4D;
    const settings = { network, optimizer, learningRate: learningRate(step), emaBeta: emaBeta(step + 1) };
    const result = trainingStep(state, settings, () => ({
      loss: (model) => tf.mean(tf.mul(weight, tf.squaredDifference(model(noisy, t), images))) as tf.Scalar,
      dispose: () => {},
    }));
    tf.dispose([images, noise, t, weight, noisy]);
    state = result.state;
    smoothed = step === 0 ? result.loss : 0.99 * smoothed + 0.01 * result.loss;
    bar.update(state.step, { loss: smoothed.toFixed(4) });
    await new Promise(setImmediate);
  }
  bar.stop();
  return state.ema;
}

function startBar(name: string, total: number): SingleBar {
  const bar = new SingleBar({
    format: `${name} {bar} {value}/{total}  loss {loss}  {eta_formatted} left`,
    noTTYOutput: true,
    notTTYSchedule: 20_000,
  });
  bar.start(total, 0, { loss: '–' });
  return bar;
}

/** Writes parameters in float16. */
async function save(path: string, params: tf.NamedTensorMap, metadata: Record<string, string>): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFileAtomically(path, writeSafetensors(fromTensors(params, { dtype: 'F16' }), metadata));
}

const { steps, only } = new Command('pnpm pretrain')
  .description(
    'Trains the diffusion model and the classifier that the quickstart starts from, and writes them to assets/.',
  )
  .option('--steps <n>', 'training steps of the diffusion model', Number, pretraining.steps)
  .option('--only <part>', 'diffusion or classifier')
  .parse()
  .opts<{ steps: number; only?: 'diffusion' | 'classifier' }>();

await startEngine();
const digits = await loadDigits(mnistFolder(), 'train');
if (only !== 'diffusion') {
  const params = await trainClassifier(digits);
  const tested = accuracy(params, await loadDigits(mnistFolder(), 'test'));
  console.log(`classifier: ${(100 * tested).toFixed(2)} % of the test images right`);
  await save(assets.classifier, params, { accuracy: String(tested) });
}
if (only !== 'classifier') {
  const ema = await trainDiffusion(digits, steps);
  await save(assets.diffusion, toCheckpoint(ema), {
    config: JSON.stringify(network),
    training: JSON.stringify({ ...pretraining, steps }),
  });
}
