import type * as tf from '@tensorflow/tfjs-core';
import { define } from './define';

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
  fusedKernel('AdamUpdate', 'p g m v', 'beta1 beta2 factor epsilon keep adaptive', 3),
  fusedKernel('LinearCombination', 'a b', 'alpha beta'),
  fusedKernel('UnitMagnitude', 'w', 'outputs epsilon scale'),
  fusedKernel('UnitMagnitudeGrad', 'w dy', 'outputs epsilon scale', 2),
];
