// GFLOP/s of this package's kernels and of tfjs's stock ones, taking turns in one run: npx tsx bench/kernels.bench.ts [part of a name]
// SIMD=plain, THREADS=2 and ROUNDS choose others.
import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { setWasmBackend } from '../src';

interface Subject {
  readonly name: string;
  readonly kernel: string;
  readonly inputs: tf.NamedTensorMap;
  readonly attrs: tf.NamedAttrMap;
  readonly flop: number;
}

const rounds = Number(process.env.ROUNDS ?? 5);
const only = process.argv[2] ?? '';
const random = (...shape: number[]) =>
  tf.tensor(
    Float32Array.from({ length: tf.util.sizeFromShape(shape) }, () => Math.random() - 0.5),
    shape,
  );

const kernels = [
  tf.BatchMatMul,
  tf.Conv2D,
  tf.Conv2DBackpropInput,
  tf.Conv2DBackpropFilter,
  tf.DepthwiseConv2dNative,
  tf.DepthwiseConv2dNativeBackpropInput,
  tf.DepthwiseConv2dNativeBackpropFilter,
];
const stock = new Map(kernels.map((kernel) => [kernel, tf.getKernel(kernel, 'wasm') as tf.KernelConfig | undefined]));
console.log(
  await setWasmBackend({ simd: (process.env.SIMD ?? 'auto') as 'auto', threads: Number(process.env.THREADS ?? 1) }),
);

function matrixProduct(m: number, n: number, k: number, transposeA: boolean, transposeB: boolean, batch = 1): Subject {
  return {
    name: `matMul ${m}×${n}×${k} ${transposeA ? 'Aᵀ' : 'A'}${transposeB ? 'Bᵀ' : 'B'}`,
    kernel: tf.BatchMatMul,
    inputs: {
      a: random(batch, ...(transposeA ? [k, m] : [m, k])),
      b: random(batch, ...(transposeB ? [n, k] : [k, n])),
    },
    attrs: { transposeA, transposeB },
    flop: 2 * batch * m * n * k,
  };
}

function convolution(shape: [number, number, number, number], out: number, taps: number, strides: number): Subject[] {
  const filterShape: [number, number, number, number] = [taps, taps, shape[3], out];
  const info = tf.backend_util.computeConv2DInfo(shape, filterShape, strides, 1, 'same');
  const [x, filter, dy] = [random(...shape), random(...filterShape), random(...info.outShape)];
  const attrs = { strides, pad: 'same', dataFormat: 'NHWC', dilations: 1, inputShape: shape, filterShape };
  const flop = 2 * tf.util.sizeFromShape(info.outShape) * taps * taps * shape[3];
  const name = `conv ${taps}×${taps}/${strides} [${shape}]→${out}`;
  return [
    { name: `${name} forward`, kernel: tf.Conv2D, inputs: { x, filter }, attrs, flop },
    { name: `${name} ∂x`, kernel: tf.Conv2DBackpropInput, inputs: { dy, filter }, attrs, flop },
    { name: `${name} ∂w`, kernel: tf.Conv2DBackpropFilter, inputs: { x, dy }, attrs, flop },
  ];
}

function depthwise(shape: [number, number, number, number], taps: number): Subject[] {
  const filterShape = [taps, taps, shape[3], 1];
  const [x, filter, dy] = [random(...shape), random(...filterShape), random(...shape)];
  const attrs = { strides: 1, pad: 'same', dataFormat: 'NHWC', dilations: 1, inputShape: shape, filterShape };
  const flop = 2 * tf.util.sizeFromShape(shape) * taps * taps;
  const name = `depthwise ${taps}×${taps} [${shape}]`;
  return [
    { name: `${name} forward`, kernel: tf.DepthwiseConv2dNative, inputs: { x, filter }, attrs, flop },
    { name: `${name} ∂x`, kernel: tf.DepthwiseConv2dNativeBackpropInput, inputs: { dy, filter }, attrs, flop },
    { name: `${name} ∂w`, kernel: tf.DepthwiseConv2dNativeBackpropFilter, inputs: { x, dy }, attrs, flop },
  ];
}

const subjects = (): Subject[] => [
  ...[false, true].flatMap((a) => [false, true].map((b) => matrixProduct(1024, 1024, 1024, a, b))),
  matrixProduct(64, 60000, 256, false, true),
  matrixProduct(64, 256, 60000, false, false),
  { ...matrixProduct(256, 256, 64, false, true, 32), name: 'matMul 32 × [256, 64] ABᵀ' },
  ...convolution([8, 32, 32, 64], 64, 3, 1),
  ...convolution([64, 16, 16, 32], 32, 3, 1),
  ...convolution([64, 8, 8, 64], 64, 3, 1),
  ...convolution([64, 16, 16, 32], 64, 3, 2),
  ...convolution([64, 16, 16, 32], 64, 1, 1),
  ...convolution([64, 16, 16, 2], 32, 3, 1),
  ...convolution([64, 16, 16, 32], 1, 3, 1),
  ...convolution([16, 32, 32, 3], 64, 3, 1),
  ...convolution([16, 32, 32, 4], 64, 3, 1),
  ...convolution([16, 32, 32, 64], 3, 3, 1),
  ...depthwise([16, 32, 32, 64], 3),
];

const rows: Record<string, Record<string, string>> = {};
for (const { name, kernel, inputs, attrs, flop } of subjects().filter((subject) => subject.name.includes(only))) {
  const ours = (tf.getKernel(kernel, 'wasm') as tf.KernelConfig).kernelFunc;
  const theirs = stock.get(kernel)?.kernelFunc;
  const time = (run: tf.KernelFunc) => {
    const start = performance.now();
    const out = run({ inputs, attrs, backend: tf.backend() }) as tf.TensorInfo;
    const ms = performance.now() - start;
    tf.backend().disposeData(out.dataId);
    return ms;
  };
  const best = { ours: Number.POSITIVE_INFINITY, stock: Number.POSITIVE_INFINITY };
  time(ours);
  for (let round = 0; round < rounds; round++) {
    if (theirs && (round === 0 || best.stock < 500)) best.stock = Math.min(best.stock, time(theirs));
    for (let i = 0; i < 3; i++) best.ours = Math.min(best.ours, time(ours));
  }
  rows[name] = {
    'stock GFLOP/s': theirs ? (flop / best.stock / 1e6).toFixed(1) : '—',
    'ours GFLOP/s': (flop / best.ours / 1e6).toFixed(1),
    'ours ms': best.ours.toFixed(2),
  };
}
console.table(rows);
