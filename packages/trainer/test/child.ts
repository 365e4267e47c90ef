import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { createTrainer, logTo } from '../src';
import { jsonLines, loadState, saveState, stopOnSignals } from '../src/node';
import { run } from './tiny';

// A training run as a process of its own, to be killed: the folder and the number of steps are its arguments.

const [folder, steps] = process.argv.slice(2);
await tf.setBackend('cpu');
const { newState, ...options } = run();
const states = join(folder!, 'states');
const state = (await loadState(states)) ?? newState();
const trainer = createTrainer({
  ...options,
  state,
  totalImages: Number(steps) * options.batchSize,
  signal: stopOnSignals(),
  save: { every: 2 * options.batchSize, run: (state) => saveState(states, state, { keep: 2 }) },
});
for await (const event of logTo(trainer, jsonLines(join(folder!, 'log.jsonl')))) {
  if (event.type === 'step') process.stdout.write(`step ${event.step}\n`);
  if (event.type === 'stopped') process.exitCode = event.reason === 'finished' ? 0 : 130;
}
