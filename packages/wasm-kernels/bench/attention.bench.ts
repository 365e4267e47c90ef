// Softmax, and attention with its gradient, beside what they replace: tfjs's softmax, and the composition of this package's matrix products with it. In
// turns, milliseconds, the median of each. From the root: npx tsx packages/wasm-kernels/bench/attention.bench.ts (`SIMD=plain`, `THREADS=2`)
import '@cm/gradients';
import { dotProductAttention } from '@cm/edm2-unet';
import { setWasmBackend } from '@cm/wasm-kernels';
import * as tf from '@tensorflow/tfjs-core';
import { tableOf } from '../../../tools/testing/src/markdown';

const ROUNDS = 9;
const stock = tf.getKernel('Softmax', 'wasm');
const { SIMD = 'auto', THREADS = '1' } = process.env;
const { simd } = await setWasmBackend({ simd: SIMD as 'auto', threads: Number(THREADS) });
const ours = ['Softmax', 'Attention', 'AttentionGrad'].map((name) => tf.getKernel(name, 'wasm'));

function replaced<T>(f: () => T): T {
  for (const { kernelName } of ours) tf.unregisterKernel(kernelName, 'wasm');
  tf.registerKernel(stock);
  try {
    return f();
  } finally {
    tf.unregisterKernel('Softmax', 'wasm');
    for (const kernel of ours) tf.registerKernel(kernel);
  }
}

const shapes: [batch: number, pixels: number, heads: number, size: number][] = [
  [16, 256, 2, 64],
  [64, 64, 4, 64],
  [4, 1024, 1, 64],
  [8, 256, 1, 256],
];
const scores = tf.randomNormal([8, 256, 256]);
const ways: Record<string, () => tf.Tensor> = { 'softmax of [8, 256, 256]': () => tf.softmax(scores) };
for (const shape of shapes) {
  const [batch, pixels, heads, size] = shape;
  const qkv = tf.randomNormal([batch, pixels, 3 * heads * size]) as tf.Tensor3D;
  const dy = tf.randomNormal([batch, pixels, heads * size]);
  const attend = (x: tf.Tensor) => dotProductAttention(x as tf.Tensor3D, heads);
  const name = `attention, ${batch} of ${pixels} pixels, ${heads} × ${size}`;
  ways[name] = () => attend(qkv);
  ways[`${name}: with gradient`] = () => tf.grad(attend)(qkv, dy);
}

const table: Record<string, Record<string, number>> = {};
for (const [name, run] of Object.entries(ways)) {
  const times = { kernels: [] as number[], replaced: [] as number[] };
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [way, list] of Object.entries(times)) {
      const start = performance.now();
      const result = way === 'kernels' ? run() : replaced(run);
      if (round > 0) list.push(performance.now() - start);
      result.dispose();
    }
  }
  const median = (list: number[]) => list.sort((a, b) => a - b)[ROUNDS >> 1]!;
  const [kernels, before] = [median(times.kernels), median(times.replaced)];
  table[name] = {
    replaced: Number(before.toFixed(1)),
    kernels: Number(kernels.toFixed(1)),
    faster: Number((before / kernels).toFixed(2)),
  };
}
console.log(tableOf(`${simd} SIMD, threads: ${THREADS}; ms`, table));
