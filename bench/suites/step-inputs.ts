import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromTensors, writeSafetensors } from '@cm/checkpoints';
import { toCheckpoint } from '@cm/edm2-unet';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { benchConfig, stepInputs } from '../../packages/torch/bench/step';
import { samplingNoise } from './sampling-settings';

// What PyTorch's side of the training step and of sampling takes, as its layout has it: the same parameters, images and noise.

await tf.setBackend('cpu');
const { params, x, noise } = stepInputs(benchConfig, 16);
const file = fromTensors(toCheckpoint({ ...params }));
const images = { x, noise, sampling: samplingNoise() };
for (const [name, tensor] of Object.entries(images)) {
  file[name] = fromTensors({ name: tf.transpose(tensor, [0, 3, 1, 2]) }).name!;
}
writeFileSync(join(process.argv[2]!, 'step.safetensors'), writeSafetensors(file));
