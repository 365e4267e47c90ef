import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { key, split, uniformArray } from '@cm/random';
import { stableTargetEstimator } from '@cm/sct';
import { configureTorch } from '@cm/torch';
import { processGroupFromEnvironment } from '@cm/torch/distributed';
import * as tf from '@tensorflow/tfjs-core';
import { type Batch, createTrainer, gatheredReferences } from '../src';
import { loadState, saveState } from '../src/node';
import { numbersOf, objective, run } from './tiny';

// One of several processes that train together. Its arguments: folder, steps, whether moments and averages are shared out, and the step after which this
// process is killed, if any. The state that it tells is the one that was saved.

const [folder, steps, shard, killed] = process.argv.slice(2) as [string, string, string, string?];
await tf.setBackend('torch');
configureTorch({ device: 'cpu', threads: 1, deterministic: true });
const group = (await processGroupFromEnvironment({ timeoutSeconds: 60 }))!;
const { rank, size } = group;
const { newState, ...options } = run();
const batchSize = options.batchSize;
const rows = batchSize / size;

/** Images of a loader's values, with classes: this process's rows of the batch. */
const data = {
  batchAt: (position: number): Batch => {
    const bytes = uniformArray(split(key(3), 'batch', position), batchSize * 4);
    const own = Float32Array.from(
      bytes.slice(rank * rows * 4, (rank + 1) * rows * 4),
      (v) => Math.round(255 * v) / 127.5 - 1,
    );
    const labels = Array.from({ length: rows }, (_, row) => (position + rank * rows + row) % 3);
    return { images: tf.tensor4d(own, [rows, 2, 2, 1]), labels };
  },
};
const references = gatheredReferences(group, { classConditional: true });
const states = join(folder, 'states');
const before = tf.memory().numTensors;
const trainer = createTrainer({
  ...options,
  objective: objective(stableTargetEstimator({ references: references.gather, classConditional: true })),
  prepare: references.prepare,
  data,
  communicator: group,
  shardState: shard === 'shard',
  teacher: '0.100',
  state: (await loadState(states)) ?? newState(),
  totalImages: Number(steps) * batchSize,
  save: { every: 25 * batchSize, run: (state) => saveState(states, state) },
});
const bytes = () => Object.values(trainer.state.optimizer.m).reduce((sum, { size }) => sum + 4 * size, 0);
const losses: number[] = [];
try {
  for await (const event of trainer) {
    if (event.type !== 'step') continue;
    losses.push(event.loss);
    if (event.step === Number(killed) && rank === size - 1) process.kill(process.pid, 'SIGKILL');
  }
} catch (error) {
  console.error((error as Error).message);
  process.exit(1);
}
const kept = bytes();
trainer.dispose();
const tensors = tf.memory().numTensors - before;
mkdirSync(folder, { recursive: true });
const state = numbersOf((await loadState(states))!);
writeFileSync(join(folder, `${rank}.json`), JSON.stringify({ losses, tensors, kept, state }));
group.close();
