import * as tf from '@tensorflow/tfjs-core';
import { defineKernel } from '../kernel';
import type { KernelModule } from '../module';

// The fused operations of magnitude-preserving networks. Their meaning is that of `@cm/edm2-unet`, which calls them by
// name where a backend has them: tensors are float32, channels last.

const size = (shape: readonly number[]) => tf.util.sizeFromShape([...shape]);
const channelsOf = ({ shape }: tf.TensorInfo) => shape[shape.length - 1] ?? 1;
const rowsOf = (tensor: tf.TensorInfo) => size(tensor.shape.slice(0, -1));

function float32(kernel: string, inputs: Readonly<Record<string, tf.TensorInfo>>): void {
  for (const [name, { dtype }] of Object.entries(inputs)) {
    if (dtype !== 'float32') throw new Error(`${kernel}: ${name} is ${dtype}, expected float32`);
  }
}

function sameShape(kernel: string, name: string, shape: readonly number[], expected: readonly number[]): void {
  if (!tf.util.arraysEqual([...shape], [...expected])) {
    throw new Error(`${kernel}: ${name} has shape [${shape}], expected [${expected}]`);
  }
}

/** A new tensor like another. */
const like = (module: KernelModule, { shape }: tf.TensorInfo) => module.output(shape, 'float32');

/** mp_silu(x) = x·sigmoid(x)/0.596 */
const mpSilu = defineKernel<'x'>('MpSilu', ({ inputs, inputs: { x }, module }) => {
  float32('MpSilu', inputs);
  const y = like(module, x);
  module.native.mp_silu(module.offset(x), module.offset(y), size(x.shape));
  return y;
});

const mpSiluGrad = defineKernel<'x' | 'dy'>('MpSiluGrad', ({ inputs, inputs: { x, dy }, module }) => {
  float32('MpSiluGrad', inputs);
  sameShape('MpSiluGrad', 'dy', dy.shape, x.shape);
  const dx = like(module, x);
  module.native.mp_silu_grad(module.offset(x), module.offset(dy), module.offset(dx), size(x.shape));
  return dx;
});

/** [batch, pixels, channels] of x [batch, …, channels], with scale [batch, channels] checked against it. */
function modulated(kernel: string, x: tf.TensorInfo, scale: tf.TensorInfo): [number, number, number] {
  const batch = x.shape[0]!;
  const channels = channelsOf(x);
  sameShape(kernel, 'scale', scale.shape, [batch, channels]);
  return [batch, size(x.shape.slice(1, -1)), channels];
}

/** mp_silu(x·scale), scale [batch, channels] */
const modulatedMpSilu = defineKernel<'x' | 'scale'>('ModulatedMpSilu', ({ inputs, inputs: { x, scale }, module }) => {
  float32('ModulatedMpSilu', inputs);
  const sizes = modulated('ModulatedMpSilu', x, scale);
  const y = like(module, x);
  module.native.modulated_mp_silu(module.offset(x), module.offset(scale), module.offset(y), ...sizes);
  return y;
});

const modulatedMpSiluGrad = defineKernel<'x' | 'scale' | 'dy'>(
  'ModulatedMpSiluGrad',
  ({ inputs, inputs: { x, scale, dy }, module }) => {
    float32('ModulatedMpSiluGrad', inputs);
    const sizes = modulated('ModulatedMpSiluGrad', x, scale);
    sameShape('ModulatedMpSiluGrad', 'dy', dy.shape, x.shape);
    const dx = like(module, x);
    const dscale = like(module, scale);
    const at = [x, scale, dy, dx, dscale].map((tensor) => module.offset(tensor));
    module.native.modulated_mp_silu_grad(...at, ...sizes);
    return [dx, dscale];
  },
);

/** x/(ε + |x|/√C) over the last axis */
const pixelNorm = defineKernel<'x', { epsilon: number }>(
  'PixelNorm',
  ({ inputs, inputs: { x }, attrs: { epsilon }, module }) => {
    float32('PixelNorm', inputs);
    const y = like(module, x);
    module.native.pixel_norm(module.offset(x), module.offset(y), rowsOf(x), channelsOf(x), epsilon, 1);
    return y;
  },
);

const pixelNormGrad = defineKernel<'x' | 'dy', { epsilon: number }>(
  'PixelNormGrad',
  ({ inputs, inputs: { x, dy }, attrs: { epsilon }, module }) => {
    float32('PixelNormGrad', inputs);
    sameShape('PixelNormGrad', 'dy', dy.shape, x.shape);
    const dx = like(module, x);
    const at = [x, dy, dx].map((tensor) => module.offset(tensor));
    module.native.pixel_norm_grad(...at, rowsOf(x), channelsOf(x), epsilon, 1);
    return dx;
  },
);

/** Factors of a and b in the magnitude-preserving sum. */
const sumFactors = (t: number) => [(1 - t) / Math.hypot(1 - t, t), t / Math.hypot(1 - t, t)] as const;

type SumAttributes = { t: number; clip?: number };

/** ((1 − t)·a + t·b)/√((1 − t)² + t²), clipped to [−clip, clip] */
const mpSum = defineKernel<'a' | 'b', SumAttributes>(
  'MpSum',
  ({ inputs, inputs: { a, b }, attrs: { t, clip = Number.POSITIVE_INFINITY }, module }) => {
    float32('MpSum', inputs);
    sameShape('MpSum', 'b', b.shape, a.shape);
    const y = like(module, a);
    const at = [a, b, y].map((tensor) => module.offset(tensor));
    module.native.clipped_sum(...at, size(a.shape), ...sumFactors(t), clip);
    return y;
  },
);

const mpSumGrad = defineKernel<'y' | 'dy', SumAttributes>(
  'MpSumGrad',
  ({ inputs, inputs: { y, dy }, attrs: { t, clip = Number.POSITIVE_INFINITY }, module }) => {
    float32('MpSumGrad', inputs);
    sameShape('MpSumGrad', 'dy', dy.shape, y.shape);
    const [da, db] = [like(module, y), like(module, y)];
    const at = [y, dy, da, db].map((tensor) => module.offset(tensor));
    module.native.clipped_sum_grad(...at, size(y.shape), ...sumFactors(t), clip);
    return [da, db];
  },
);

const scale = defineKernel<'x', { factor: number }>('Scale', ({ inputs, inputs: { x }, attrs: { factor }, module }) => {
  float32('Scale', inputs);
  const y = like(module, x);
  module.native.scale(module.offset(x), module.offset(y), size(x.shape), factor);
  return y;
});

/** Factors of a and b in the magnitude-preserving concatenation of Na and Nb channels. */
function catFactors(channelsA: number, channelsB: number, t: number): [number, number] {
  const c = Math.sqrt((channelsA + channelsB) / ((1 - t) ** 2 + t ** 2));
  return [(c / Math.sqrt(channelsA)) * (1 - t), (c / Math.sqrt(channelsB)) * t];
}

const mpCat = defineKernel<'a' | 'b', { t: number }>('MpCat', ({ inputs, inputs: { a, b }, attrs: { t }, module }) => {
  float32('MpCat', inputs);
  sameShape('MpCat', 'b', b.shape, [...a.shape.slice(0, -1), channelsOf(b)]);
  const channels = [channelsOf(a), channelsOf(b)] as const;
  const y = module.output([...a.shape.slice(0, -1), channels[0] + channels[1]], 'float32');
  const at = [a, b, y].map((tensor) => module.offset(tensor));
  module.native.scaled_concat(...at, rowsOf(a), ...channels, ...catFactors(...channels, t));
  return y;
});

const mpCatGrad = defineKernel<'dy', { t: number; channelsA: number }>(
  'MpCatGrad',
  ({ inputs, inputs: { dy }, attrs: { t, channelsA }, module }) => {
    float32('MpCatGrad', inputs);
    const channels = [channelsA, channelsOf(dy) - channelsA] as const;
    if (channels[1] <= 0) {
      throw new Error(`MpCatGrad: channelsA is ${channelsA}, expected less than dy's ${channelsOf(dy)} channels`);
    }
    const [da, db] = channels.map((n) => module.output([...dy.shape.slice(0, -1), n], 'float32'));
    const at = [dy, da!, db!].map((tensor) => module.offset(tensor));
    module.native.scaled_split(...at, rowsOf(dy), ...channels, ...catFactors(...channels, t));
    return [da!, db!];
  },
);

/** factor · mean over 2 × 2 blocks */
const downsample2x = defineKernel<'x', { factor: number }>(
  'Downsample2x',
  ({ inputs, inputs: { x }, attrs: { factor }, module }) => {
    float32('Downsample2x', inputs);
    const [batch, height, width, channels] = x.shape as [number, number, number, number];
    if (x.shape.length !== 4 || height % 2 || width % 2) {
      throw new Error(`Downsample2x: x has shape [${x.shape}], expected [batch, even, even, channels]`);
    }
    const y = module.output([batch, height / 2, width / 2, channels], 'float32');
    module.native.downsample_2x(module.offset(x), module.offset(y), batch, height, width, channels, factor);
    return y;
  },
);

/** factor · each value repeated over a 2 × 2 block */
const upsample2x = defineKernel<'x', { factor: number }>(
  'Upsample2x',
  ({ inputs, inputs: { x }, attrs: { factor }, module }) => {
    float32('Upsample2x', inputs);
    if (x.shape.length !== 4) throw new Error(`Upsample2x: x has shape [${x.shape}], expected four axes`);
    const [batch, height, width, channels] = x.shape as [number, number, number, number];
    const y = module.output([batch, 2 * height, 2 * width, channels], 'float32');
    module.native.upsample_2x(module.offset(x), module.offset(y), batch, height, width, channels, factor);
    return y;
  },
);

/** All of them. */
export const fusedKernels = [
  mpSilu,
  mpSiluGrad,
  modulatedMpSilu,
  modulatedMpSiluGrad,
  pixelNorm,
  pixelNormGrad,
  mpSum,
  mpSumGrad,
  scale,
  mpCat,
  mpCatGrad,
  downsample2x,
  upsample2x,
];
