import * as tf from '@tensorflow/tfjs-core';
import { defineKernel } from '../kernel';
import type { KernelModule } from '../module';

interface Attributes {
  readonly groups: number;
  readonly epsilon: number;
  /** Whether x·sigmoid(x) follows. */
  readonly silu: boolean;
}

/** What follows the tensors in both kernels' arguments, but for the scratch. */
function checked(
  kernel: string,
  inputs: Readonly<Record<'x' | 'gain' | 'bias', tf.TensorInfo>>,
  { groups, epsilon, silu }: Attributes,
): readonly [batch: number, pixels: number, channels: number, ...number[]] {
  for (const [name, { dtype }] of Object.entries(inputs)) {
    if (dtype !== 'float32') throw new Error(`${kernel}: ${name} is ${dtype}, expected float32`);
  }
  const { shape } = inputs.x;
  const [batch, channels] = [shape[0] ?? 1, shape[shape.length - 1] ?? 1];
  if (!Number.isInteger(channels / groups)) {
    throw new Error(`${kernel}: groups is ${groups}, expected a divisor of x's ${channels} channels`);
  }
  const ofImages = inputs.gain.shape.length > 1;
  const expected = ofImages ? [batch, channels] : [channels];
  for (const name of ['gain', 'bias'] as const) {
    if (!tf.util.arraysEqual(inputs[name].shape, expected)) {
      throw new Error(`${kernel}: ${name} has shape [${inputs[name].shape}], expected [${expected}]`);
    }
  }
  const pixels = tf.util.sizeFromShape(shape.slice(1, -1));
  return [batch, pixels, channels, groups, epsilon, silu ? 1 : 0, ofImages ? 1 : 0];
}

function run(
  module: KernelModule,
  name: 'group_norm' | 'group_norm_grad',
  tensors: readonly tf.TensorInfo[],
  sizes: ReturnType<typeof checked>,
): void {
  const at = tensors.map((tensor) => module.offset(tensor));
  module.withScratch(module.native.group_norm_scratch_bytes(sizes[2]), (scratch) =>
    module.native[name](...at, ...sizes, scratch),
  );
}

/** f((x − μ)/√(σ² + ε)·gain + bias) with the moments of each image's groups of channels; gain and bias [channels] or [batch, channels] */
const groupNorm = defineKernel<'x' | 'gain' | 'bias', Attributes>('GroupNorm', ({ inputs, attrs, module }) => {
  const sizes = checked('GroupNorm', inputs, attrs);
  const y = module.output(inputs.x.shape, 'float32');
  run(module, 'group_norm', [inputs.x, inputs.gain, inputs.bias, y], sizes);
  return y;
});

/** Gives [dx, dgain, dbias], the latter two [batch, channels]. */
const groupNormGrad = defineKernel<'x' | 'gain' | 'bias' | 'dy', Attributes>(
  'GroupNormGrad',
  ({ inputs, attrs, module }) => {
    const sizes = checked('GroupNormGrad', inputs, attrs);
    const { x, gain, bias, dy } = inputs;
    if (!tf.util.arraysEqual(dy.shape, x.shape)) {
      throw new Error(`GroupNormGrad: dy has shape [${dy.shape}], expected [${x.shape}]`);
    }
    const [batch, , channels] = sizes;
    const [dx, dgain, dbias] = [x.shape, [batch, channels], [batch, channels]].map((shape) =>
      module.output(shape, 'float32'),
    ) as [tf.TensorInfo, tf.TensorInfo, tf.TensorInfo];
    run(module, 'group_norm_grad', [x, gain, bias, dy, dx, dgain, dbias], sizes);
    return [dx, dgain, dbias];
  },
);

/** Group normalisation, with SiLU where asked, as `@cm/edm-unet` calls it; and its gradient. */
export const groupNorms = [groupNorm, groupNormGrad];
