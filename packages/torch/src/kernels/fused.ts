import type * as tf from '@tensorflow/tfjs-core';
import { define, listOf } from './define';

// Kernels under names of their own, which @cm/edm2-unet and @cm/optimizers call where a backend has them; see the project's page on
// fused kernels. Inputs and attributes go to the addon in the order given here.

type Attributes = Readonly<Record<string, number | boolean | string>>;

/** A kernel of these inputs and attributes that gives `results` tensors. */
const fusedKernel = (name: string, inputs: string, attributes = '', results = 1): tf.KernelConfig =>
  define<string, Attributes>(name, ({ inputs: given, attrs, backend }) => {
    const tensors = inputs.split(' ').map((input) => given[input]);
    const numbers = attributes
      .split(' ')
      .filter((attribute) => attribute)
      .map((attribute) => numberOf(attrs[attribute]));
    if (results === 1) return backend.call(name, ...tensors, ...numbers);
    return backend.callMany(results, name, ...tensors, ...numbers);
  });

/** An attribute as the addon takes it: a clip that is not given is none, and outputs lie last (1) or first (0). */
function numberOf(value: Attributes[string] | undefined): number {
  if (value === undefined) return Number.POSITIVE_INFINITY;
  return typeof value === 'string' ? (value === 'last' ? 1 : 0) : Number(value);
}

interface AdamAttributes {
  readonly beta1: number;
  readonly beta2: number;
  readonly factor: number;
  readonly epsilon: number;
  readonly keep: number;
  readonly adaptive: boolean;
  /** Of the averages that are updated in the same pass. */
  readonly betas: readonly number[];
}

/** Parameters, gradients, both moments and the averages, as many tensors of each, one after the other. */
const adamUpdateAll = define<string, AdamAttributes>('AdamUpdateAll', ({ inputs, attrs, backend }) => {
  const { beta1, beta2, factor, epsilon, keep, adaptive, betas } = attrs;
  const tensors = listOf(inputs);
  const parameters = tensors.length / (4 + betas.length);
  const results = parameters * (3 + betas.length);
  return backend.callMany(results, 'AdamUpdateAll', tensors, betas, beta1, beta2, factor, epsilon, keep, adaptive);
});

/** The gradient's attributes stand between its inputs, as the kernel's own do. */
const groupNormGrad = define<'x' | 'gain' | 'bias' | 'dy', { groups: number; epsilon: number; silu: boolean }>(
  'GroupNormGrad',
  ({ inputs: { x, gain, bias, dy }, attrs: { groups, epsilon, silu }, backend }) =>
    backend.callMany(3, 'GroupNormGrad', x, gain, bias, groups, epsilon, silu, dy),
);

/** All of them. */
export const fused: tf.KernelConfig[] = [
  fusedKernel('MpSilu', 'x'),
  fusedKernel('MpSiluGrad', 'x dy'),
  fusedKernel('ModulatedMpSilu', 'x scale'),
  fusedKernel('ModulatedMpSiluGrad', 'x scale dy', '', 2),
  fusedKernel('PixelNorm', 'x', 'epsilon'),
  fusedKernel('PixelNormGrad', 'x dy', 'epsilon'),
  fusedKernel('MpSum', 'a b', 't clip'),
  fusedKernel('MpSumGrad', 'y dy', 't clip', 2),
  fusedKernel('Scale', 'x', 'factor'),
  fusedKernel('MpCat', 'a b', 't'),
  fusedKernel('MpCatGrad', 'dy', 't channelsA', 2),
  fusedKernel('Downsample2x', 'x', 'factor'),
  fusedKernel('Upsample2x', 'x', 'factor'),
  fusedKernel('Attention', 'qkv', 'heads'),
  fusedKernel('AttentionGrad', 'qkv dy', 'heads'),
  fusedKernel('GroupNorm', 'x gain bias', 'groups epsilon silu'),
  groupNormGrad,
  adamUpdateAll,
  fusedKernel('LinearCombination', 'a b', 'alpha beta'),
  fusedKernel('PosteriorSums', 'queries rows own max squares sums prior', 'begin', 3),
  fusedKernel('ReferenceRows', 'bytes shift'),
  fusedKernel('UnitMagnitude', 'w', 'outputs epsilon scale'),
  fusedKernel('UnitMagnitudeGrad', 'w dy', 'outputs epsilon scale', 2),
];
