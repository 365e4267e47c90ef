import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { key } from '@cm/random';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { tableOf } from '../../../tools/testing/src/markdown';
import { type Batch, createLoader, imageDataset } from '../src/index';
import { openEdmDataset, writeEdmDataset } from '../src/node';

// `npx tsx packages/datasets/bench/loader.bench.ts`: images a second of the loader, and how long a step waits for it.

await tf.setBackend('cpu');

const noise = (count: number, side: number) => {
  const images = new Uint8Array(count * side * side * 3);
  for (let i = 0; i < images.length; i++) images[i] = Math.random() * 256;
  return imageDataset({ images, shape: [count, side, side, 3], labels: new Int32Array(count) });
};

async function rate(loader: { batchAt(position: number): Batch | Promise<Batch> }, batchSize: number, batches: number) {
  for (let i = 0; i < 5; i++) tf.dispose((await loader.batchAt(i)).images);
  const start = performance.now();
  for (let i = 5; i < 5 + batches; i++) tf.dispose((await loader.batchAt(i)).images);
  return Math.round((batches * batchSize * 1000) / (performance.now() - start)).toLocaleString('en-US');
}

/** Share of the time that is spent waiting for a batch, by the median, where a step takes so many ms of another processor. */
async function waiting(loader: { batchAt(position: number): Batch | Promise<Batch> }, step: number, steps: number) {
  const waits: number[] = [];
  for (let i = 0; i <= steps; i++) {
    const asked = performance.now();
    tf.dispose((await loader.batchAt(i)).images);
    waits.push(performance.now() - asked);
    await sleep(step);
  }
  const median = waits.sort((a, b) => a - b)[steps >> 1]!;
  return `${((100 * median) / (step + median)).toFixed(2)} %`;
}

const table: Record<string, Record<string, string>> = {};
const folder = mkdtempSync(join(tmpdir(), 'loader-'));
for (const [side, count] of [
  [32, 50_000],
  [64, 10_000],
] as const) {
  const data = noise(count, side);
  for (const flip of [false, true]) {
    const loader = createLoader({ dataset: data, batchSize: 128, key: key(0), flip });
    table[`memory${flip ? ', flips' : ''}: ${side} × ${side}`] = {
      'images/s': await rate(loader, 128, 400),
      'waiting in a step of 200 ms': await waiting(loader, 200, 20),
    };
  }
  const path = join(folder, `${side}.zip`);
  await writeEdmDataset(path, data);
  for (const threads of [0, 1, 2]) {
    const stored = await openEdmDataset(path, { threads });
    const loader = createLoader({ dataset: stored, batchSize: 128, key: key(0), flip: true });
    table[`zip, ${threads} threads beside, flips: ${side} × ${side}`] = {
      'images/s': await rate(loader, 128, 60),
      'waiting in a step of 200 ms': await waiting(loader, 200, 20),
    };
    await stored.close();
  }
}
rmSync(folder, { recursive: true });
console.log(tableOf('batches of 128 from', table));
