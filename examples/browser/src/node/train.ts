import { fileURLToPath } from 'node:url';
import { fromTensors, writeSafetensors } from '@cm/checkpoints';
import { writeFileAtomically } from '@cm/checkpoints/node';
import { createLoader } from '@cm/datasets';
import { pseudoHuber } from '@cm/ect';
import { edm2Arguments, toCheckpoint } from '@cm/edm2-unet';
import { adam, powerFunctionEma } from '@cm/optimizers';
import { key, split } from '@cm/random';
import { inverseSquareRoot, logNormalNoiseLevels } from '@cm/schedules';
import { referenceSet } from '@cm/stable-target';
import { consistencyObjective, createTrainer, initialState, type TrainingState } from '@cm/trainer';
import * as tf from '@tensorflow/tfjs-core';
import { loadDigits, mnistFolder } from '../../../quickstart/src/digits';
import { startEngine } from '../../../quickstart/src/engine';
import { methods } from '../../../quickstart/src/methods';
import { loadPretrained, trainable } from '../../../quickstart/src/network';
import { assets, network, sampling, tuning } from '../../../quickstart/src/settings';

// Makes public/generator.safetensors and public/guide.safetensors: the quickstart's tuning by SCT, four times as long, its schedule stretched alike.
// The guide is the average of the weights at half of the training.

const stretch = 4;
const { batchSize } = tuning;
const steps = stretch * tuning.steps;
const seed = 0;

await startEngine();
const digits = await loadDigits(mnistFolder(), 'train');
const params = await loadPretrained(assets.diffusion);
const optimizer = adam(tuning.adam);
const averages = { ema: powerFunctionEma({ sigmaRel: tuning.sigmaRel }) };
const state = initialState({ params, optimizer, averages: { ema: null }, key: key(seed) });
tf.dispose(params);

const trainer = createTrainer({
  state,
  network: trainable,
  objective: consistencyObjective({
    estimator: methods.sct.estimator(() => referenceSet({ images: digits.images, shape: digits.shape })),
    schedule: methods.sct.schedule({ ...tuning.schedule, d: stretch * tuning.schedule.d }),
    weighting: methods.sct.weighting(tuning.delta),
    metric: pseudoHuber({ c: tuning.c }),
    noiseLevels: (normals) => logNormalNoiseLevels(normals, tuning.noise),
  }),
  optimizer,
  averages,
  learningRate: inverseSquareRoot(tuning.learningRate),
  data: createLoader({ dataset: digits, batchSize, key: split(key(seed), 'loader') }),
  batchSize,
  totalImages: steps * batchSize,
  save: { every: (steps / 2) * batchSize, run: write },
});
for await (const event of trainer) {
  if (event.type === 'step' && event.step % 25 === 0) {
    console.log(
      `${event.step} of ${steps} steps, loss ${event.loss.toFixed(3)}, ${event.imagesPerSecond.toFixed()} images/s`,
    );
  }
}

/** Writes the average in float16, with what a reader needs to know. */
async function write({ step, averages }: TrainingState): Promise<string> {
  const name = step < steps ? 'guide' : 'generator';
  const file = fileURLToPath(new URL(`../../public/${name}.safetensors`, import.meta.url));
  const tensors = fromTensors(toCheckpoint(averages.ema!), { dtype: 'F16' });
  const { className, kwargs } = edm2Arguments(network);
  const metadata = {
    className,
    config: JSON.stringify(kwargs),
    sampling: JSON.stringify(sampling),
    steps: String(step),
  };
  await writeFileAtomically(file, writeSafetensors(tensors, metadata));
  return file;
}
