import { edm2Config } from '@cm/edm2-unet';
import { configureTorch, isInstalled } from '@cm/torch';
import * as tf from '@tensorflow/tfjs-core';
import { tableOf } from '../../../tools/testing/src/markdown';
import { trainingStep } from './step';

// Resident memory over many training steps of a small network: npx tsx packages/torch/bench/memory.bench.ts [steps]
if (!isInstalled()) throw new Error('libtorch is not set up: run `npx cm-torch setup`');
const steps = Number(process.argv[2] ?? 10_000);
await tf.setBackend('torch');
configureTorch({ device: 'cpu', threads: 1 });
const config = edm2Config({
  resolution: 8,
  channels: 3,
  modelChannels: 16,
  channelMult: [1, 2],
  numBlocks: 1,
  attnResolutions: [4],
  channelsPerHead: 16,
});
const step = trainingStep(config, 4);
const MIB = 2 ** 20;
const rows: Record<string, Record<string, number>> = {};
for (let i = 1; i <= steps; i++) {
  step();
  // A pause in which finalizers may run, as an application's own input and output give one.
  if (i % 10 === 0) await new Promise(setImmediate);
  if (i % (steps / 10) === 0) {
    const { rss, heapUsed } = process.memoryUsage();
    rows[i.toLocaleString('en-US')] = {
      'resident, MiB': Math.round(rss / MIB),
      'JavaScript heap, MiB': Math.round(heapUsed / MIB),
      tensors: tf.memory().numTensors,
    };
  }
}
console.log(tableOf('step', rows));
