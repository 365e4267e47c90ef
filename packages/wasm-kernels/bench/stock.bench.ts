// Element-wise, reducing and moving operations on [64, 16, 16, 32] (2 MB) with tfjs's kernels, then with this package's, on all threads: the least
// milliseconds. From the root: npx tsx packages/wasm-kernels/bench/stock.bench.ts
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { tableOf } from '../../../tools/testing/src/markdown';
import { registerWasmKernels } from '../src';

setWasmPaths(`${dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm'))}/`);
await tf.setBackend('wasm');

const [B, H, W, C] = [64, 16, 16, 32];
const x = tf.randomUniform<tf.Rank.R4>([B, H, W, C], 0.1, 1);
const y = tf.randomUniform<tf.Rank.R4>([B, H, W, C], 0.1, 1);
const channel = tf.randomUniform([1, 1, 1, C]);
const row = tf.randomUniform([B, 1, 1, C]);
const pixel = tf.randomUniform([B, H, W, 1]);
const batch = tf.randomUniform([B, 1, 1, 1]);
const matrix = tf.reshape(x, [B * H * W, C]) as tf.Tensor2D;
const attention = tf.randomUniform<tf.Rank.R3>([8, 256, 256]);
const heads = tf.reshape(x, [B, H * W, 4, C / 4]);
const condition = tf.greater(x, 0.5);
const half = tf.randomUniform<tf.Rank.R4>([B, H / 2, W / 2, C]);
const indices = tf.tensor1d(
  Int32Array.from({ length: 64 }, (_, i) => (i * 7) % 64),
  'int32',
);
const scalar = tf.scalar(0.3);

const operations: Record<string, () => tf.Tensor | tf.Tensor[]> = {
  'add same': () => tf.add(x, y),
  'mul same': () => tf.mul(x, y),
  'mul scalar': () => tf.mul(x, scalar),
  'add scalar left': () => tf.add(scalar, x),
  'add [1,1,1,C]': () => tf.add(x, channel),
  'mul [1,1,1,C]': () => tf.mul(x, channel),
  'mul [B,1,1,C]': () => tf.mul(x, row),
  'mul [B,H,W,1]': () => tf.mul(x, pixel),
  'mul [B,1,1,1]': () => tf.mul(x, batch),
  'sub same': () => tf.sub(x, y),
  'div same': () => tf.div(x, y),
  'div [B,H,W,1]': () => tf.div(x, pixel),
  'maximum same': () => tf.maximum(x, y),
  squaredDifference: () => tf.squaredDifference(x, y),
  'addN of 3': () => tf.addN([x, y, x]),
  square: () => tf.square(x),
  sqrt: () => tf.sqrt(x),
  rsqrt: () => tf.rsqrt(x),
  neg: () => tf.neg(x),
  abs: () => tf.abs(x),
  exp: () => tf.exp(x),
  log: () => tf.log(x),
  sigmoid: () => tf.sigmoid(x),
  tanh: () => tf.tanh(x),
  sin: () => tf.sin(x),
  pow: () => tf.pow(x, scalar),
  relu: () => tf.relu(x),
  clip: () => tf.clipByValue(x, 0.2, 0.6),
  greater: () => tf.greater(x, y),
  isFinite: () => tf.isFinite(x),
  where: () => tf.where(condition, x, y),
  'cast bool': () => tf.cast(condition, 'float32'),
  'sum all': () => tf.sum(x),
  'sum C': () => tf.sum(x, -1),
  'sum BHW': () => tf.sum(x, [0, 1, 2]),
  'sum HW': () => tf.sum(x, [1, 2]),
  'sum HWC': () => tf.sum(x, [1, 2, 3]),
  'sum B': () => tf.sum(x, 0),
  'mean HW': () => tf.mean(x, [1, 2]),
  'mean C': () => tf.mean(x, -1),
  'max C': () => tf.max(x, -1),
  'softmax [8,256,256]': () => tf.softmax(attention),
  'transpose [0,2,1,3]': () => tf.transpose(heads, [0, 2, 1, 3]),
  'transpose [0,2,3,1]': () => tf.transpose(heads, [0, 2, 3, 1]),
  'transpose NCHW': () => tf.transpose(x, [0, 3, 1, 2]),
  'transpose 2d': () => tf.transpose(matrix),
  'concat C': () => tf.concat([x, y], -1),
  'concat C ones': () => tf.concat([x, pixel], -1),
  'concat B': () => tf.concat([x, y], 0),
  'slice C': () => tf.slice(x, [0, 0, 0, 0], [B, H, W, C / 2]),
  'slice B': () => tf.slice(x, [8, 0, 0, 0], [32, H, W, C]),
  'split C': () => tf.split(x, 2, -1),
  'tile [B,1,1,C]': () => tf.tile(row, [1, H, W, 1]),
  'tile pixel': () => tf.tile(pixel, [1, 1, 1, C]),
  pad: () =>
    tf.pad(x, [
      [0, 0],
      [0, 0],
      [0, 0],
      [0, 4],
    ]),
  gather: () => tf.gather(x, indices),
  unsortedSegmentSum: () => tf.unsortedSegmentSum(x, indices, 64),
  scatterND: () => tf.scatterND(tf.reshape(indices, [64, 1]), x, [B, H, W, C]),
  stack: () => tf.stack([x, y]),
  reverse: () => tf.reverse(x, 2),
  avgPool: () => tf.avgPool(x, 2, 2, 'same'),
  avgPoolGrad: () =>
    tf
      .engine()
      .runKernel(tf.AvgPoolGrad, { dy: half, input: x }, { filterSize: 2, strides: 2, pad: 'same' }) as tf.Tensor,
  resizeNearest: () => tf.image.resizeNearestNeighbor(half, [H, W]),
  resizeNearestGrad: () =>
    tf
      .engine()
      .runKernel(
        tf.ResizeNearestNeighborGrad,
        { images: half, dy: x },
        { alignCorners: false, halfPixelCenters: false, size: [H, W] },
      ) as tf.Tensor,
  zerosLike: () => tf.zerosLike(x),
  fill: () => tf.fill([B, H, W, C], 2),
};

function least(operation: () => tf.Tensor | tf.Tensor[]): string {
  let ms = Number.POSITIVE_INFINITY;
  try {
    const until = performance.now() + 100;
    for (let i = 0; i < 5 || performance.now() < until; i++) {
      const start = performance.now();
      const result = operation();
      ms = Math.min(ms, performance.now() - start);
      tf.dispose(result);
    }
    return ms.toPrecision(3);
  } catch {
    return 'none';
  }
}
const measured = () => Object.entries(operations).map(([name, operation]) => [name, least(operation)] as const);

const stock = new Map(measured());
await registerWasmKernels();
const rows = Object.fromEntries(
  measured().map(([name, ms]) => [name, { 'tfjs’s kernel': stock.get(name)!, 'this package’s': ms }]),
);
console.log(tableOf('milliseconds', rows));
