import { createHash } from 'node:crypto';
import { expectNoLeak } from '@cm/testing';
import { registerWasmKernels, setWasmBackend, wasmKernelsInUse } from '@cm/wasm-kernels';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, it } from 'vitest';

beforeAll(async () => {
  expect((await setWasmBackend({ threads: 3 })).threads).toBe(3);
});

/** Uniform on [−1, 1), by an integer hash of the position: tfjs's own is slow. */
const random = (shape: number[], seed: number) => {
  const mixed = (i: number) => Math.imul(i ^ (i >>> 15), 0x2c1b3c6d) >>> 0;
  const size = tf.util.sizeFromShape(shape);
  return tf.tensor(
    Float32Array.from({ length: size }, (_, i) => mixed(Math.imul(i + 1, 0x9e3779b1) + seed) / 2 ** 31 - 1),
    shape,
  );
};
const run = (kernel: string, inputs: tf.NamedTensorMap, attrs: object = {}) =>
  [tf.engine().runKernel(kernel, inputs, attrs as tf.NamedAttrMap)].flat() as tf.Tensor[];

/** Large enough that every kernel has several pieces, and of sizes that pieces and vectors do not divide. */
const images = [5, 31, 29, 36];
const x = () => random(images, 1);
const convolution = {
  strides: 1,
  pad: 'same',
  dataFormat: 'NHWC',
  dilations: 1,
  inputShape: images,
  filterShape: [3, 3, 36, 37],
};
const filter = () => random([3, 3, 36, 37], 2);
const dy = () => random([5, 31, 29, 37], 3);
const adam = { beta1: 0.9, beta2: 0.99, factor: 1e-3, epsilon: 1e-8, keep: 0.999, adaptive: true, betas: [0.99] };
const norm = { groups: 9, epsilon: 1e-5, silu: true };
const unit = { epsilon: 1e-4, scale: 1.5 };

const cases: Record<string, () => tf.Tensor[]> = {
  'a matrix product': () => run(tf.BatchMatMul, { a: random([301, 260], 1), b: random([260, 203], 2) }),
  'of a transposed factor': () =>
    run(tf.BatchMatMul, { a: random([515, 70], 1), b: random([515, 99], 2) }, { transposeA: true }),
  'of the other': () => run(tf.BatchMatMul, { a: random([301, 70], 1), b: random([99, 70], 2) }, { transposeB: true }),
  'of a batch': () =>
    run(tf.BatchMatMul, { a: random([7, 129, 65], 1), b: random([7, 65, 131], 2) }, { transposeA: false }),
  'of a batch, by one factor': () =>
    run(
      tf.BatchMatMul,
      { a: random([5, 65, 129], 1), b: random([131, 65], 2) },
      { transposeA: true, transposeB: true },
    ),
  'a wide one': () => run(tf.BatchMatMul, { a: random([37, 66], 1), b: random([1099, 66], 2) }, { transposeB: true }),
  'a deep one': () => run(tf.BatchMatMul, { a: random([5003, 37], 1), b: random([5003, 21], 2) }, { transposeA: true }),
  'a convolution': () => run(tf.Conv2D, { x: x(), filter: filter() }, convolution),
  'its gradient by the input': () => run(tf.Conv2DBackpropInput, { dy: dy(), filter: filter() }, convolution),
  'and by the filter': () => run(tf.Conv2DBackpropFilter, { x: x(), dy: dy() }, convolution),
  'a convolution to one channel': () =>
    run(tf.Conv2D, { x: x(), filter: random([3, 3, 36, 1], 4) }, { ...convolution, filterShape: [3, 3, 36, 1] }),
  'its gradient by that filter': () =>
    run(
      tf.Conv2DBackpropFilter,
      { x: x(), dy: random([5, 31, 29, 1], 4) },
      { ...convolution, filterShape: [3, 3, 36, 1] },
    ),
  'by a filter to four channels': () =>
    run(
      tf.Conv2DBackpropFilter,
      { x: x(), dy: random([5, 31, 29, 4], 4) },
      { ...convolution, filterShape: [3, 3, 36, 4] },
    ),
  'a convolution of three channels': () =>
    run(
      tf.Conv2DBackpropFilter,
      { x: random([5, 31, 29, 3], 5), dy: dy() },
      { ...convolution, filterShape: [3, 3, 3, 37] },
    ),
  'a depthwise convolution': () =>
    run(tf.DepthwiseConv2dNative, { x: x(), filter: random([3, 3, 36, 1], 4) }, convolution),
  'its gradient by the input of channels': () =>
    run(
      tf.DepthwiseConv2dNativeBackpropInput,
      { dy: random(images, 3), filter: random([3, 3, 36, 1], 4) },
      convolution,
    ),
  'and by the filter of each': () =>
    run(
      tf.DepthwiseConv2dNativeBackpropFilter,
      { x: x(), dy: random(images, 3) },
      { ...convolution, filterShape: [3, 3, 36, 1] },
    ),
  'a sum of tensors': () => run(tf.Add, { a: x(), b: random(images, 6) }),
  'a product that is broadcast': () => run(tf.Multiply, { a: x(), b: random([5, 1, 1, 36], 6) }),
  'a comparison': () => run(tf.Greater, { a: x(), b: random(images, 6) }),
  'a choice': () => [tf.where(tf.greater(x(), 0), x(), random(images, 6))],
  exponentials: () => run(tf.Exp, { x: x() }),
  'a sum over the batch': () => [tf.sum(x(), 0)],
  'a sum over pixels': () => [tf.sum(x(), [1, 2])],
  'a sum over channels': () => [tf.sum(x(), 3)],
  'a maximum over pixels': () => [tf.max(x(), [1, 2])],
  'a transposition': () => [tf.transpose(x(), [0, 3, 1, 2])],
  'a concatenation': () => [tf.concat([x(), random([5, 31, 29, 7], 6)], 3)],
  MpSilu: () => run('MpSilu', { x: x() }),
  MpSiluGrad: () => run('MpSiluGrad', { x: x(), dy: random(images, 6) }),
  ModulatedMpSilu: () => run('ModulatedMpSilu', { x: x(), scale: random([5, 36], 7) }),
  ModulatedMpSiluGrad: () => run('ModulatedMpSiluGrad', { x: x(), scale: random([5, 36], 7), dy: random(images, 6) }),
  PixelNorm: () => run('PixelNorm', { x: x() }, { epsilon: 1e-4 }),
  PixelNormGrad: () => run('PixelNormGrad', { x: x(), dy: random(images, 6) }, { epsilon: 1e-4 }),
  MpSum: () => run('MpSum', { a: x(), b: random(images, 6) }, { t: 0.3, clip: 1 }),
  MpSumGrad: () => run('MpSumGrad', { y: x(), dy: random(images, 6) }, { t: 0.3, clip: 0.5 }),
  Scale: () => run('Scale', { x: x() }, { factor: 0.7 }),
  MpCat: () => run('MpCat', { a: x(), b: random([5, 31, 29, 7], 6) }, { t: 0.5 }),
  MpCatGrad: () => run('MpCatGrad', { dy: x() }, { t: 0.5, channelsA: 9 }),
  Downsample2x: () => run('Downsample2x', { x: random([5, 32, 30, 36], 8) }, { factor: 2 }),
  Upsample2x: () => run('Upsample2x', { x: x() }, { factor: 2 }),
  GroupNorm: () => run('GroupNorm', { x: x(), gain: random([36], 7), bias: random([36], 8) }, norm),
  GroupNormGrad: () =>
    run('GroupNormGrad', { x: x(), gain: random([5, 36], 7), bias: random([5, 36], 8), dy: random(images, 6) }, norm),
  Softmax: () => run(tf.Softmax, { logits: random([301, 131], 1) }, { dim: 1 }),
  Attention: () => run('Attention', { qkv: random([3, 107, 78], 1) }, { heads: 2 }),
  AttentionGrad: () =>
    run('AttentionGrad', { qkv: random([3, 107, 78], 1), dy: random([3, 107, 26], 2) }, { heads: 2 }),
  PosteriorSums: () =>
    run(
      'PosteriorSums',
      {
        queries: tf.mul(random([37, 131], 1), 8),
        rows: random([301, 131], 2),
        own: tf.range(0, 37, 1, 'int32'),
        max: tf.zeros([37, 1]),
        squares: tf.ones([37, 1]),
        sums: random([37, 131], 3),
        prior: random([37, 310], 4),
      },
      { begin: 5 },
    ),
  ReferenceRows: () => {
    const bytes = Uint8Array.from({ length: 301 * 131 }, (_, i) => (i * 7919) % 256);
    return run('ReferenceRows', { bytes: tf.tensor2d(bytes, [301, 131], 'bool'), shift: random([131], 1) });
  },
  AdamUpdateAll: () => {
    const of = (seed: number) => [random(images, seed), random([37], seed), random([3, 99], seed)];
    const lists = [of(1), of(6), of(7), of(8).map((v) => tf.abs(v)), of(9)].flat();
    return run('AdamUpdateAll', Object.fromEntries(lists.map((tensor, i) => [`${i}:`, tensor])), adam);
  },
  'UnitMagnitude of columns': () =>
    run('UnitMagnitude', { w: random([3, 3, 99, 70], 9) }, { ...unit, outputs: 'last' }),
  'its gradient': () =>
    run(
      'UnitMagnitudeGrad',
      { w: random([3, 3, 99, 70], 9), dy: random([3, 3, 99, 70], 10) },
      { ...unit, outputs: 'last' },
    ),
  'UnitMagnitude of rows': () => run('UnitMagnitude', { w: random([530, 70], 9) }, { ...unit, outputs: 'first' }),
  'and its': () =>
    run('UnitMagnitudeGrad', { w: random([530, 70], 9), dy: random([530, 70], 10) }, { ...unit, outputs: 'first' }),
};

const bits = (make: () => tf.Tensor[]) =>
  tf.tidy(() => {
    const hash = createHash('sha256');
    for (const tensor of make()) hash.update(tensor.dataSync() as Float32Array);
    return hash.digest('hex');
  });

it('every kernel gives the same bits on one, two and three threads', async () => {
  const all = async (threads: number) => {
    await registerWasmKernels({ threads });
    expect(wasmKernelsInUse()?.threads).toBe(threads);
    // Time for the workers to come: before, the caller does all pieces.
    await new Promise((resolve) => setTimeout(resolve, 300));
    return Object.fromEntries(Object.entries(cases).map(([name, make]) => [name, bits(make)]));
  };
  const one = await all(1);
  for (const threads of [2, 3, 2, 3]) expect(await all(threads)).toEqual(one);
});

it('threads leave no tensors and no memory', async () => {
  await registerWasmKernels({ threads: 3 });
  await expectNoLeak(() => tf.tidy(() => void cases['and by the filter']!()));
});

it('threads see what the heap grows by', async () => {
  await registerWasmKernels({ threads: 3 });
  const ballast: tf.Tensor[] = [];
  for (let i = 0; i < 6; i++) {
    ballast.push(tf.fill([1 << 22], i));
    tf.tidy(() => {
      const product = tf.matMul(tf.fill([400, 200], 0.5), tf.fill([200, 300], 2));
      expect(product.dataSync().every((value) => value === 200)).toBe(true);
    });
  }
  ballast.forEach((tensor, i) => void expect(tf.max(tensor).dataSync()[0]).toBe(i));
  tf.dispose(ballast);
});

it('a heap without room is an error, and does no harm', async () => {
  await registerWasmKernels({ threads: 2 });
  const product = bits(cases['a matrix product']!);
  const before = tf.memory().numTensors;
  const backend = tf.backend() as unknown as { makeOutput(shape: number[], dtype: string): tf.TensorInfo };
  const large: tf.Tensor[] = [];
  // Not written to, so that the machine need not have the memory.
  const claim = () => large.push(tf.engine().makeTensorFromTensorInfo(backend.makeOutput([1 << 28], 'float32')));
  expect(() => {
    for (let i = 0; i < 5; i++) claim();
  }).toThrow(/^wasm: no memory for 1073741824 bytes; the heap has grown to \d+ MiB, and can to 4096$/);
  tf.dispose(large);
  expect(tf.memory().numTensors).toBe(before);
  expect(bits(cases['a matrix product']!)).toBe(product);
});

it('idle threads take no time of the processor', async () => {
  await registerWasmKernels({ threads: 3 });
  bits(cases['a matrix product']!);
  await new Promise((resolve) => setTimeout(resolve, 200));
  const before = process.cpuUsage();
  await new Promise((resolve) => setTimeout(resolve, 500));
  const { user, system } = process.cpuUsage(before);
  expect(user + system).toBeLessThan(250_000);
});

it('says which number of threads it cannot have', async () => {
  for (const threads of [0, -1, 1.5, Number.NaN]) {
    await expect(registerWasmKernels({ threads })).rejects.toThrow(
      `threads is ${threads}, expected 'auto' or a positive integer`,
    );
  }
});
