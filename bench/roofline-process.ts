import '@cm/gradients';
import { edmDenoiser, edmFlops, edmPresets, initEdm } from '@cm/edm-unet';
import { edm2Flops, edm2Preset } from '@cm/edm2-unet';
import { valueAndGrads } from '@cm/gradients';
import { type OptimizerState, rAdam } from '@cm/optimizers';
import { key, normal } from '@cm/random';
import * as tf from '@tensorflow/tfjs-core';
import { eachKernel } from '../packages/edm2-unet/bench/each-kernel';
import { trainingStep } from '../packages/torch/bench/step';
import { useBackend } from './backend';
import type { Roofline, Work } from './roofline';

// What a whole training step is made of: FLOPs and bytes of every kernel that it calls, from the shapes of what they read and write, and the time that
// they took. The argument names the network; one line of JSON comes out.

const networks: Readonly<Record<string, () => { flops: number; rows: number; title: string; step: () => unknown }>> = {
  'edm2-s': () => {
    // Without its classes, which are a thousandth of its parameters, so that it is the other benchmarks' step.
    const config = { ...edm2Preset('S'), labelDim: 0 };
    const rows = 2;
    return { flops: edm2Flops(config), rows, title: 'EDM2-S, 64 × 64', step: trainingStep(config, rows) };
  },
  ddpmpp: () => {
    const config = edmPresets['cifar10-uncond-ddpmpp'];
    const rows = 4;
    return { flops: edmFlops(config), rows, title: 'DDPM++, 32 × 32', step: ddpmppStep(rows) };
  },
};

/** A step of `ect-cifar10`: student and teacher, RAdam and an average. */
function ddpmppStep(rows: number): () => number {
  const config = edmPresets['cifar10-uncond-ddpmpp'];
  const x = normal(key(1), [rows, 32, 32, 3]) as tf.Tensor4D;
  const [t, r] = [tf.fill([rows], 1), tf.fill([rows], 0.5)] as [tf.Tensor1D, tf.Tensor1D];
  const optimizer = rAdam({ beta1: 0.9, beta2: 0.999 });
  let params = initEdm(config, key(0));
  let ema = Object.fromEntries(Object.entries(params).map(([name, p]) => [name, tf.clone(p)]));
  let state: OptimizerState = optimizer.init(params);
  return () => {
    const target = edmDenoiser(config, params)(x, r);
    const { value, grads } = valueAndGrads(
      (w) => tf.mean(tf.squaredDifference(edmDenoiser(config, w)(x, t), target)) as tf.Scalar,
      params,
    );
    const averages = [{ ema, beta: 0.9999 }];
    const updated = optimizer.update(params, grads, state, { learningRate: 1e-4, averages });
    const loss = value.dataSync()[0]!;
    tf.dispose([target, value, grads, params, state.m, state.v, ema]);
    params = updated.params;
    state = updated.state;
    ema = updated.averages[0]!;
    return loss;
  };
}

const sizeOf = (shape: readonly number[]) => shape.reduce((product, extent) => product * extent, 1);

/** FLOPs of a kernel that is a matrix product, a convolution or attention, by the shapes of what it reads and writes; 0 of others. */
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
  if (name === 'Attention' || name === 'AttentionGrad') {
    const [batch, pixels, triple] = inputs[0]!.shape as [number, number, number];
    // Two products forward; four backward.
    return (name === 'Attention' ? 2 : 4) * 2 * batch * pixels ** 2 * (triple / 3);
  }
  return 0;
}

/** The work of every kernel that `f` calls, by name. */
function workOf(f: () => void): Record<string, Work> {
  const found: Record<string, Work> = {};
  eachKernel(f, ({ name, inputs, attributes, result, ms }) => {
    const read = Object.values(inputs)
      .flat()
      .filter((tensor) => tensor instanceof tf.Tensor);
    const written = [result].flat();
    const bytes = ['Reshape', 'Identity'].includes(name)
      ? 0
      : 4 * [...read, ...written].reduce((sum, { size }) => sum + size, 0);
    const { calls, flops, bytes: before, ms: taken } = found[name] ?? { calls: 0, flops: 0, bytes: 0, ms: 0 };
    found[name] = {
      calls: calls + 1,
      flops: flops + flopsOf(name, read, written, attributes ?? {}),
      bytes: before + bytes,
      ms: taken + ms,
    };
  });
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

const make = networks[process.argv[2]!];
if (!make) throw new Error(`network is ${process.argv[2]}, expected one of ${Object.keys(networks).join(', ')}`);
const { about } = await useBackend('torch');

// Two, or a cache would have read one of them.
const [a, b, c] = [tf.randomNormal([2048, 2048]), tf.randomNormal([2 ** 25]), tf.randomNormal([2 ** 25])];
const peakFlops = (2 * 2048 ** 3) / fastest(() => tf.matMul(a, a));
const peakBytes = (12 * 2 ** 25) / fastest(() => tf.add(b, c));
tf.dispose([a, b, c]);

const { flops, rows, title, step } = make();
step();
const total = (work: Record<string, Work>) => Object.values(work).reduce((sum, { ms }) => sum + ms, 0);
const steps = [0, 1, 2].map(() => {
  const begun = performance.now();
  const kernels = workOf(step);
  return { kernels, ms: performance.now() - begun };
});
const { kernels, ms } = steps.sort((one, other) => total(one.kernels) - total(other.kernels))[1]!;
const result: Roofline = { title, rows, about, definition: 4 * rows * flops, peakFlops, peakBytes, kernels, ms };
console.log(JSON.stringify(result));
