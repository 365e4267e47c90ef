import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fromTensors, writeSafetensors } from '@cm/checkpoints';
import { writeFileAtomically } from '@cm/checkpoints/node';
import { createLoader, type ImageDataset } from '@cm/datasets';
import { edm2Arguments, initEdm2, toCheckpoint } from '@cm/edm2-unet';
import { adam, powerFunctionEma } from '@cm/optimizers';
import { key, split } from '@cm/random';
import { inverseSquareRoot } from '@cm/schedules';
import { createTrainer, diffusionObjective, initialState } from '@cm/trainer';
import * as tf from '@tensorflow/tfjs-core';
import { SingleBar } from 'cli-progress';
import { Command } from 'commander';
import { accuracy, trainClassifier } from './classifier';
import { loadDigits, mnistFolder } from './digits';
import { startEngine } from './engine';
import { trainable } from './network';
import { assets, network, pretraining, sampling } from './settings';

// Makes the files in assets/: the diffusion model that the quickstart tunes, and the classifier whose features it
// takes Fréchet distances between.

const seed = key(20241018);

/** Trains the network as an EDM diffusion model. Returns its average. */
async function trainDiffusion(digits: ImageDataset, steps: number): Promise<tf.NamedTensorMap> {
  const { batchSize, noise, sigmaRel } = pretraining;
  const optimizer = adam({ beta1: 0.9, beta2: 0.99 });
  const params = initEdm2(network, split(seed, 'network'));
  const averages = { ema: powerFunctionEma({ sigmaRel }) };
  const trainer = createTrainer({
    state: initialState({ params, optimizer, averages, key: seed }),
    network: trainable,
    objective: diffusionObjective({ noise, sigmaData: network.sigmaData }),
    optimizer,
    averages,
    learningRate: inverseSquareRoot(pretraining.learningRate),
    data: createLoader({ dataset: digits, batchSize, key: split(seed, 'loader') }),
    batchSize,
    totalImages: steps * batchSize,
  });
  tf.dispose(params);
  const bar = startBar('diffusion', steps);
  let smoothed: number | undefined;
  for await (const event of trainer) {
    if (event.type !== 'step') continue;
    smoothed = smoothed === undefined ? event.loss : 0.99 * smoothed + 0.01 * event.loss;
    bar.update(event.step, { loss: smoothed.toFixed(4) });
  }
  bar.stop();
  return trainer.state.averages.ema!;
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
  const bar = startBar('classifier', 1);
  const params = await trainClassifier(digits, {
    key: seed,
    epochs: 3,
    batchSize: 100,
    onProgress: (step, steps, loss) => {
      bar.setTotal(steps);
      bar.update(step, { loss: loss.toFixed(4) });
    },
  });
  bar.stop();
  const tested = accuracy(params, await loadDigits(mnistFolder(), 'test'), seed);
  console.log(`classifier: ${(100 * tested).toFixed(2)} % of the test images right`);
  await save(assets.classifier, params, { accuracy: String(tested) });
}
if (only !== 'classifier') {
  const ema = await trainDiffusion(digits, steps);
  // As `cm sample` and the like read them.
  const { className, kwargs } = edm2Arguments(network);
  await save(assets.diffusion, toCheckpoint(ema), {
    className,
    config: JSON.stringify(kwargs),
    sigmaMax: String(sampling.sigmaMax),
    training: JSON.stringify({ ...pretraining, steps }),
  });
}
