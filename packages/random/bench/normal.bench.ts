// Normal numbers a second, against tfjs's own: npx tsx packages/random/bench/normal.bench.ts
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { dropoutMask, key, normal, normalArray, normalRows, split, uniformArray } from '../src/index';

const k = split(key(0), 'bench');
const rows = Int32Array.from({ length: 128 }, (_, i) => i);

const cases: [name: string, count: number, run: () => void][] = [
  ['normalArray, 1,000,000', 1e6, () => normalArray(k, 1e6)],
  ['normalArray, 10,000,000', 1e7, () => normalArray(k, 1e7)],
  ['uniformArray, 1,000,000', 1e6, () => uniformArray(k, 1e6)],
  ['normal, [128, 32, 32, 3]', 128 * 3072, () => normal(k, [128, 32, 32, 3]).dispose()],
  ['normalRows, 128 x [32, 32, 3]', 128 * 3072, () => normalRows(k, rows, [32, 32, 3]).dispose()],
  ['normalRows, 128 x [16, 16, 1]', 128 * 256, () => normalRows(k, rows, [16, 16, 1]).dispose()],
  ['dropoutMask, 128 x [16, 16, 64]', 128 * 16_384, () => dropoutMask(k, rows, [16, 16, 64], 0.4).dispose()],
  ['tf.randomNormal, [1,000,000]', 1e6, () => tf.randomNormal([1e6], 0, 1, 'float32', 1).dispose()],
  ['Math.random, Box-Muller, 1,000,000', 1e6, () => plain(1e6)],
];

function plain(n: number): Float32Array {
  const values = new Float32Array(n);
  for (let i = 0; i < n; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - Math.random()));
    const angle = 2 * Math.PI * Math.random();
    values[i] = radius * Math.cos(angle);
    values[i + 1] = radius * Math.sin(angle);
  }
  return values;
}

function median(run: () => void): number {
  for (let i = 0; i < 3; i++) run();
  const times = Array.from({ length: 15 }, () => {
    const start = performance.now();
    run();
    return performance.now() - start;
  });
  return times.sort((a, b) => a - b)[7]!;
}

await tf.setBackend('cpu');
console.table(
  cases.map(([name, count, run]) => {
    const ms = median(run);
    return { name, ms: Number(ms.toFixed(3)), 'million/s': Number((count / ms / 1e3).toFixed(1)) };
  }),
);
