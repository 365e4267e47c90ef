// Fused kernels against what memory allows: GB/s of the tensors read and written, and the time that the same composition of stock
// kernels takes. A tensor of 4 MB lies in the second-level or shared cache, one of 64 MB in memory.
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { registerWasmKernels } from '@cm/wasm-kernels';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { tableOf } from '../../../tools/testing/src/markdown';

const require = createRequire(import.meta.url);
tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
setWasmPaths(`${dirname(require.resolve('@tensorflow/tfjs-backend-wasm'))}/`);
await tf.setBackend('wasm');
await registerWasmKernels({ simd: (process.env.SIMD ?? 'auto') as 'auto' });

function best(f: () => tf.Tensor | tf.Tensor[]): number {
  let seconds = Number.POSITIVE_INFINITY;
  const until = performance.now() + 300;
  for (let i = 0; i < 5 || performance.now() < until; i++) {
    const start = performance.now();
    const result = f();
    seconds = Math.min(seconds, (performance.now() - start) / 1000);
    tf.dispose(result);
  }
  return seconds;
}

const bytes = (tensors: readonly tf.Tensor[]) => 4 * tensors.reduce((sum, { size }) => sum + size, 0);

type Case = [
  name: string,
  inputs: tf.NamedTensorMap,
  attributes: Record<string, number>,
  composition?: () => tf.Tensor | tf.Tensor[],
];

for (const shape of [
  [16, 32, 32, 64],
  [64, 16, 16, 30],
  [64, 32, 32, 256],
] as [number, number, number, number][]) {
  const [batch, height, width, channels] = shape;
  const random = (...of: number[]) => tf.randomUniform(of, -2, 2);
  const x = random(...shape);
  const dy = random(...shape);
  const scale = random(batch, channels);
  const half = random(batch, height / 2, width / 2, channels);
  const wide = random(batch, height, width, 2 * channels);
  const slices = () => [tf.mul(dy, 0.7), tf.mul(dy, 0.3)];
  const silu = (v: tf.Tensor) => tf.mul(tf.mul(v, tf.sigmoid(v)), 1 / 0.596);
  const norm = (v: tf.Tensor) =>
    tf.div(v, tf.add(tf.mul(tf.sqrt(tf.sum(tf.square(v), -1, true)), 1 / Math.sqrt(channels)), 1e-4));
  const cases: Case[] = [
    ['Scale', { x }, { factor: 2 }, () => tf.mul(x, 2)],
    ['MpSum', { a: x, b: dy }, { t: 0.3 }, () => tf.add(tf.mul(x, 0.9), tf.mul(dy, 0.4))],
    ['MpSum', { a: x, b: dy }, { t: 0.3, clip: 256 }],
    ['MpSumGrad', { y: x, dy }, { t: 0.3, clip: 256 }, slices],
    ['MpCat', { a: x, b: dy }, { t: 0.5 }, () => tf.concat([tf.mul(x, 1.4), tf.mul(dy, 1.4)], 3)],
    ['MpCatGrad', { dy: wide }, { t: 0.5, channelsA: channels }, () => tf.split(tf.mul(wide, 1.4), 2, 3)],
    ['Downsample2x', { x }, { factor: 1 }, () => tf.avgPool(x as tf.Tensor4D, 2, 2, 'valid')],
    ['Upsample2x', { x: half }, { factor: 1 }],
    ['PixelNorm', { x }, { epsilon: 1e-4 }, () => norm(x)],
    ['PixelNormGrad', { x, dy }, { epsilon: 1e-4 }],
    ['MpSilu', { x }, {}, () => silu(x)],
    ['MpSiluGrad', { x, dy }, {}],
    ['ModulatedMpSilu', { x, scale }, {}, () => silu(tf.mul(x, tf.reshape(scale, [batch, 1, 1, channels])))],
    ['ModulatedMpSiluGrad', { x, scale, dy }, {}],
  ];
  const rows: Record<string, Record<string, string>> = {};
  for (const [name, inputs, attributes, composition] of cases) {
    const run = () => tf.engine().runKernel(name, inputs, attributes) as tf.Tensor | tf.Tensor[];
    const outputs = [run()].flat();
    const moved = bytes([...Object.values(inputs), ...outputs]);
    tf.dispose(outputs);
    const time = best(run);
    rows['clip' in attributes ? `${name}, clip` : name] = {
      ms: (time * 1e3).toPrecision(3),
      'GB/s': (moved / time / 1e9).toPrecision(3),
      'tfjs’s kernels, ms': composition ? (best(() => tf.tidy(composition)) * 1e3).toPrecision(3) : '',
    };
  }
  console.log(`${tableOf(`[${shape.join(', ')}], ${(bytes([x]) / 2 ** 20).toPrecision(2)} MB`, rows)}\n`);
  tf.dispose([x, dy, scale, half, wide]);
}
