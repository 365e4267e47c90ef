// GFLOP/s of this package's kernels, best and median, and their share of the cores' peak: npx tsx packages/wasm-kernels/bench/kernels.bench.ts [pattern of names]
// tfjs's own, then these on one thread and on all, with plain and with relaxed SIMD; KERNELS='plain 1, relaxed 2' chooses, and MS how long each is
// measured. The kernels take turns in rounds, each visit between two measurements of the peak (multiply-adds of 128 bits on registers,
// fused where the engine has them, on one core, times the threads): a core that others slow down lowers both. The share is the median over the rounds.
import '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { tableOf } from '../../../tools/testing/src/markdown';
import { registerWasmKernels, setWasmBackend } from '../src';
import { multiplyAddPeak } from './peak';

interface Subject {
  readonly name: string;
  readonly kernel: string;
  readonly inputs: tf.NamedTensorMap;
  readonly attrs: tf.NamedAttrMap;
  readonly flop: number;
}

const only = new RegExp(process.argv[2] ?? '');
const milliseconds = Number(process.env.MS ?? 300);
const rounds = 6;
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
const { threads: most } = await setWasmBackend();
const chosen = process.env.KERNELS ?? `stock 1, plain 1, plain ${most}, relaxed 1, relaxed ${most}`;

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

function depthwise(shape: [number, number, number, number], taps: number, strides: number): Subject[] {
  const filterShape: [number, number, number, number] = [taps, taps, shape[3], 1];
  const { outShape } = tf.backend_util.computeConv2DInfo(shape, filterShape, strides, 1, 'same', undefined, true);
  const [x, filter, dy] = [random(...shape), random(...filterShape), random(...outShape)];
  const attrs = { strides, pad: 'same', dataFormat: 'NHWC', dilations: 1, inputShape: shape, filterShape };
  const flop = 2 * tf.util.sizeFromShape(outShape) * taps * taps;
  const name = `depthwise ${taps}×${taps}/${strides} [${shape}]`;
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
  ...convolution([16, 32, 32, 64], 4, 3, 1),
  ...depthwise([16, 32, 32, 64], 3, 1),
  ...depthwise([64, 16, 16, 32], 3, 1),
  ...depthwise([16, 32, 32, 64], 3, 2),
];

const measured = subjects().filter(({ name }) => only.test(name));
const rows: Record<string, Record<string, string>> = Object.fromEntries(measured.map(({ name }) => [name, {}]));
const digits = (rate: number) => rate.toFixed(rate < 10 ? 1 : 0);
const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!;
for (const column of chosen.split(', ')) {
  const [simd, threads] = column.split(' ');
  if (simd !== 'stock') {
    await registerWasmKernels({ simd: simd as 'plain' | 'relaxed', threads: Number(threads) });
    // Time for the workers to come.
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  const cores = Number(threads);
  const heading = simd === 'stock' ? 'tfjs’s kernels' : `${simd} SIMD, threads: ${threads}`;
  const results = new Map(measured.map((subject) => [subject, { rates: [] as number[], shares: [] as number[] }]));
  // The first round is the one that V8 optimises by.
  const turns = simd === 'stock' ? 1 : rounds;
  for (let round = 0; round <= turns; round++)
    for (const subject of measured) {
      const { kernel, inputs, attrs, flop } = subject;
      const { kernelFunc } = (simd === 'stock' ? stock.get(kernel) : tf.getKernel(kernel, 'wasm')) ?? {};
      if (!kernelFunc) continue;
      const before = multiplyAddPeak();
      const visit: number[] = [];
      const end = performance.now() + milliseconds / rounds;
      do {
        const start = performance.now();
        const out = kernelFunc({ inputs, attrs, backend: tf.backend() }) as tf.TensorInfo;
        visit.push(flop / (performance.now() - start) / 1e6);
        tf.backend().disposeData(out.dataId);
      } while (performance.now() < end);
      if (round === 0) continue;
      const { rates, shares } = results.get(subject)!;
      rates.push(...visit);
      shares.push(median(visit) / (cores * ((before + multiplyAddPeak()) / 2)));
    }
  for (const [{ name }, { rates, shares }] of results)
    if (rates.length > 0)
      rows[name] = {
        ...rows[name],
        [heading]: `${digits(Math.max(...rates))} (${digits(median(rates))}), ${median(shares).toFixed(2)}`,
      };
}
console.log(tableOf(`Node ${process.versions.node}: GFLOP/s`, rows));
