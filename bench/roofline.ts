import { edmDenoiser, edmFlops, edmPresets, initEdm } from '@cm/edm-unet';
import { edm2Denoiser, edm2Flops, edm2Preset, initEdm2, normalizeWeights } from '@cm/edm2-unet';
import '@cm/gradients';
import { valueAndGrads } from '@cm/gradients';
import { key, normal } from '@cm/random';
import * as tf from '@tensorflow/tfjs-core';
import { useBackend } from './backend';

// What a training step is made of: FLOPs and bytes of every kernel that a student's forward and backward pass and a teacher's forward pass call,
// from the shapes of what they read and write, beside the time that they took and the least that this machine allows.
// From the repository's root: npx tsx bench/roofline.ts [edm2-s|ddpmpp] [rows]

type Model = (x: tf.Tensor4D, t: tf.Tensor1D) => tf.Tensor4D;
interface Network {
  readonly size: number;
  readonly flops: number;
  weights(): tf.NamedTensorMap;
  model(weights: tf.NamedTensorMap): Model;
}

const networks: Readonly<Record<string, () => Network>> = {
  'edm2-s': () => {
    const config = edm2Preset('S');
    return {
      size: config.resolution,
      flops: edm2Flops(config),
      weights: () => normalizeWeights(config, initEdm2(config, key(0))).weights,
      model: (weights) => {
        const denoiser = edm2Denoiser(config, weights);
        return (x, t) => denoiser(x, t, config.labelDim > 0 ? tf.zeros([x.shape[0]], 'int32') : undefined);
      },
    };
  },
  ddpmpp: () => {
    const config = edmPresets['cifar10-uncond-ddpmpp'];
    return {
      size: config.resolution,
      flops: edmFlops(config),
      weights: () => initEdm(config, key(0)),
      model: (weights) => {
        const denoiser = edmDenoiser(config, weights);
        return (x, t) => denoiser(x, t);
      },
    };
  },
};

interface Work {
  calls: number;
  flops: number;
  bytes: number;
  ms: number;
}

const sizeOf = (shape: readonly number[]) => shape.reduce((product, extent) => product * extent, 1);

/** FLOPs of a kernel that is a matrix product or a convolution, by the shapes of what it reads and writes; 0 of others. */
function flopsOf(
  name: string,
  inputs: readonly tf.Tensor[],
  outputs: readonly tf.Tensor[],
  attributes: object,
): number {
  const { filterShape, transposeA } = attributes as { filterShape?: number[]; transposeA?: boolean };
  const filter = filterShape ?? inputs.find(({ rank }, i) => rank === 4 && i > 0)?.shape;
  if (name === tf.Conv2D) return 2 * sizeOf(outputs[0]!.shape.slice(0, 3)) * sizeOf(filter!);
  if (name === tf.Conv2DBackpropInput || name === tf.Conv2DBackpropFilter) {
    const dy = inputs.find((tensor) => tensor.rank === 4)!;
    const pixels = name === tf.Conv2DBackpropInput ? dy : inputs[1]!;
    return 2 * sizeOf(pixels.shape.slice(0, 3)) * sizeOf(filter!);
  }
  if (name === tf.BatchMatMul) {
    const [a, , out] = [inputs[0]!, inputs[1]!, outputs[0]!];
    return 2 * out.size * a.shape.at(transposeA ? -2 : -1)!;
  }
  return 0;
}

/** The work of every kernel that `f` calls, by name. */
function workOf(f: () => void): Record<string, Work> {
  const engine = tf.engine();
  const run = engine.runKernel;
  const found: Record<string, Work> = {};
  engine.runKernel = ((name: string, inputs: tf.NamedTensorMap, attributes: tf.NamedAttrMap) => {
    const begun = performance.now();
    const result = run.call(engine, name, inputs, attributes) as tf.Tensor | tf.Tensor[];
    const ms = performance.now() - begun;
    const read = Object.values(inputs)
      .flat()
      .filter((tensor) => tensor instanceof tf.Tensor);
    const written = [result].flat();
    const bytes = ['Reshape', 'Identity'].includes(name)
      ? 0
      : 4 * [...read, ...written].reduce((sum, { size }) => sum + size, 0);
    found[name] ??= { calls: 0, flops: 0, bytes: 0, ms: 0 };
    const work = found[name];
    work.calls++;
    work.flops += flopsOf(name, read, written, attributes ?? {});
    work.bytes += bytes;
    work.ms += ms;
    return result;
  }) as typeof engine.runKernel;
  try {
    f();
  } finally {
    engine.runKernel = run;
  }
  return found;
}

/** The fastest of some runs, in seconds. */
function fastest(f: () => tf.Tensor, runs = 8): number {
  const times = Array.from({ length: runs }, () => {
    const begun = performance.now();
    f().dispose();
    return performance.now() - begun;
  });
  return Math.min(...times) / 1000;
}

const [name = 'edm2-s', rowsGiven = '2'] = process.argv.slice(2);
const rows = Number(rowsGiven);
const make = networks[name];
if (!make) throw new Error(`network is ${name}, expected one of ${Object.keys(networks).join(', ')}`);
await useBackend('torch');

const [a, b] = [tf.randomNormal([2048, 2048]), tf.randomNormal([2 ** 25])];
const peakFlops = (2 * 2048 ** 3) / fastest(() => tf.matMul(a, a));
const peakBytes = (12 * 2 ** 25) / fastest(() => tf.add(b, b));
tf.dispose([a, b]);

const network = make();
const weights = network.weights();
const x = normal(key(1), [rows, network.size, network.size, 3]) as tf.Tensor4D;
const t = tf.fill([rows], 1) as tf.Tensor1D;
const step = () =>
  tf.tidy(() => {
    const target = network.model(weights)(x, t);
    const { value } = valueAndGrads(
      (w) => tf.mean(tf.squaredDifference(network.model(w)(x, t), target)) as tf.Scalar,
      weights,
    );
    value.dataSync();
  });
step();
const work = workOf(step);

const bound = ({ flops, bytes }: Work) => 1000 * Math.max(flops / peakFlops, bytes / peakBytes);
const row = (entry: Work) => ({
  calls: entry.calls,
  GFLOP: Number((entry.flops / 1e9).toFixed(1)),
  'GB read and written': Number((entry.bytes / 1e9).toFixed(2)),
  'FLOP a byte': entry.flops > 0 ? Number((entry.flops / entry.bytes).toFixed(0)) : '',
  'least ms': Number(bound(entry).toFixed(1)),
  ms: Number(entry.ms.toFixed(1)),
  reached: `${((100 * bound(entry)) / entry.ms).toFixed(0)} %`,
});
const sorted = Object.entries(work).sort(([, one], [, other]) => other.ms - one.ms);
const total = sorted.reduce(
  (sum, [, { calls, flops, bytes, ms }]) => ({
    calls: sum.calls + calls,
    flops: sum.flops + flops,
    bytes: sum.bytes + bytes,
    ms: sum.ms + ms,
  }),
  { calls: 0, flops: 0, bytes: 0, ms: 0 },
);
const least = sorted.reduce((sum, [, entry]) => sum + bound(entry), 0);
console.log(
  `${name}, ${rows} rows: by the network's definition ${((4 * rows * network.flops) / 1e9).toFixed(0)} GFLOP, by its kernels ${(total.flops / 1e9).toFixed(0)};`,
  `this machine: ${(peakFlops / 1e9).toFixed(0)} GFLOP/s (a matrix product of 2048), ${(peakBytes / 1e9).toFixed(1)} GB/s (adding)`,
);
console.table(Object.fromEntries(sorted.slice(0, 16).map(([kernel, entry]) => [kernel, row(entry)])));
console.log('all kernels', {
  ...row(total),
  'least ms': Number(least.toFixed(1)),
  reached: `${((100 * least) / total.ms).toFixed(0)} %`,
});
