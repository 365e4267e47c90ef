import { loadAddon } from '../src/addon';
import '../src/index';
import * as tf from '@tensorflow/tfjs-core';

// What a call costs apart from what it computes: npx tsx packages/torch/bench/call.bench.ts. Microseconds, on tensors of four numbers.

await tf.setBackend('torch');
const addon = loadAddon();
const { buffer } = addon;
const numberOf = new Map(addon.kernelNames().map((name, i) => [name, i]));

function uploaded(): number {
  buffer[0] = 1;
  buffer[1] = 4;
  return addon.upload(new Float32Array(4), 0);
}
const [a, b] = [uploaded(), uploaded()];
const [x, y] = [tf.tensor1d([1, 2, 3, 4]), tf.tensor1d([1, 2, 3, 4])];

/** A kernel of these tensors, and the release of what it gives. */
function raw(kernel: string, ...handles: readonly number[]): () => void {
  const number = numberOf.get(kernel)!;
  return () => {
    for (let i = 0; i < handles.length; i++) buffer[i] = handles[i]!;
    addon.call(number, handles.length);
    addon.release(buffer[0]!);
  };
}

const calls: Record<string, () => void> = {
  'a crossing: a kernel that does nothing': () => addon.call(numberOf.get('synchronize')!, 0),
  'the addon’s Identity, and release': raw('Identity', a),
  'the addon’s Neg, and release': raw('Neg', a),
  'the addon’s Add, and release': raw('Add', a, b),
  'tf.add and dispose: with tfjs’s own bookkeeping': () => tf.add(x, y).dispose(),
};

const CALLS = 20_000;
for (const call of Object.values(calls)) for (let i = 0; i < CALLS; i++) call();
const times: Record<string, number[]> = {};
for (let round = 0; round < 15; round++) {
  for (const [name, call] of Object.entries(calls)) {
    const start = performance.now();
    for (let i = 0; i < CALLS; i++) call();
    times[name] = [...(times[name] ?? []), (1e3 * (performance.now() - start)) / CALLS];
  }
}
const row = (of: readonly number[]) => {
  const sorted = [...of].sort((p, q) => p - q);
  return { 'least, µs': sorted[0]!.toFixed(2), 'median, µs': sorted[sorted.length >> 1]!.toFixed(2) };
};
console.table(Object.fromEntries(Object.entries(times).map(([name, of]) => [name, row(of)])));
