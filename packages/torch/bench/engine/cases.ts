import '@cm/gradients';
import { dotProductAttention, mpSilu, pixelNorm } from '@cm/edm2-unet';
import * as tf from '@tensorflow/tfjs-core';

/** Turns an input into one of the same values as the backend is to hold it. */
export type Held = <T extends tf.Tensor>(x: T) => T;

/** One kernel of the bench: what is timed, and its work. */
export interface Case {
  /** Makes the inputs, once; what it returns is timed. */
  readonly prepare: (held: Held) => () => tf.Tensor;
  /** FLOPs, or bytes read and written where memory is the limit. */
  readonly work: { readonly flops: number } | { readonly bytes: number };
}

const images = (channels: number, size: number, batch = 16) =>
  tf.randomNormal([batch, size, size, channels]) as tf.Tensor4D;

function matmul(n: number): Case {
  const prepare = (held: Held) => {
    const [a, b] = [held(tf.randomNormal([n, n])), held(tf.randomNormal([n, n]))];
    return () => tf.matMul(a, b);
  };
  return { prepare, work: { flops: 2 * n ** 3 } };
}

/** A convolution with as many channels out as in, and its gradients. */
function convolution(kernel: number, channels: number, size: number): Record<string, Case> {
  const flops = 2 * 16 * size ** 2 * channels ** 2 * kernel ** 2;
  // A filter is a parameter: float32 in any case.
  const inputs = (held: Held) => ({
    x: held(images(channels, size)),
    dy: held(images(channels, size)),
    filter: tf.randomNormal([kernel, kernel, channels, channels]) as tf.Tensor4D,
  });
  const run = (name: string, tensors: tf.NamedTensorMap, attributes: object) =>
    tf.engine().runKernel(name, tensors, attributes as never) as tf.Tensor;
  const common = { strides: [1, 1], pad: 'same', dataFormat: 'NHWC', dimRoundingMode: undefined };
  const name = `convolution ${kernel} × ${kernel}, ${channels} channels at ${size} × ${size}`;
  const make = (timed: (tensors: ReturnType<typeof inputs>) => tf.Tensor): Case => ({
    prepare: (held) => {
      const tensors = inputs(held);
      return () => timed(tensors);
    },
    work: { flops },
  });
  return {
    [`${name}: forward`]: make(({ x, filter }) => tf.conv2d(x, filter, 1, 'same')),
    [`${name}: by the input`]: make(({ x, dy, filter }) =>
      run('Conv2DBackpropInput', { dy, filter }, { ...common, inputShape: x.shape }),
    ),
    [`${name}: by the filter`]: make(({ x, dy, filter }) =>
      run('Conv2DBackpropFilter', { x, dy }, { ...common, filterShape: filter.shape }),
    ),
  };
}

/** An operation on images, and its gradient given the gradient of its result. */
function pass(name: string, apply: (x: tf.Tensor4D) => tf.Tensor4D): Record<string, Case> {
  const bytes = 4 * 16 * 32 ** 2 * 64;
  return {
    [name]: {
      prepare: (held) => {
        const x = held(images(64, 32));
        return () => apply(x);
      },
      work: { bytes: 2 * bytes },
    },
    [`${name}: with gradient`]: {
      prepare: (held) => {
        const [x, dy] = [held(images(64, 32)), held(images(64, 32))];
        const gradient = tf.grad((images: tf.Tensor) => apply(images as tf.Tensor4D));
        return () => gradient(x, dy);
      },
      work: { bytes: 5 * bytes },
    },
  };
}

/** Attention over 256 pixels with two heads of 64 channels, queries, keys and values in one tensor. */
function attention(): Record<string, Case> {
  const [batch, heads, pixels, width] = [16, 2, 256, 64];
  const flops = 4 * batch * heads * pixels ** 2 * width;
  const input = () => tf.randomNormal([batch, pixels, 3 * heads * width]) as tf.Tensor3D;
  const apply = (qkv: tf.Tensor) => dotProductAttention(qkv as tf.Tensor3D, heads);
  return {
    attention: {
      prepare: (held) => {
        const qkv = held(input());
        return () => apply(qkv);
      },
      work: { flops },
    },
    'attention: with gradient': {
      prepare: (held) => {
        const [qkv, dy] = [held(input()), held(tf.randomNormal([batch, pixels, heads * width]))];
        const gradient = tf.grad(apply);
        return () => gradient(qkv, dy);
      },
      work: { flops: 3.5 * flops },
    },
  };
}

/** The kernels that a training step spends its time in, at the shapes of the bench's network. PyTorch's are in cases.py. */
export const cases: Readonly<Record<string, Case>> = {
  'matrix product, 512': matmul(512),
  'matrix product, 1024': matmul(1024),
  ...convolution(3, 64, 32),
  ...convolution(3, 128, 16),
  ...convolution(1, 128, 16),
  ...pass('magnitude-preserving SiLU', mpSilu),
  ...pass('pixel normalisation', (x) => pixelNorm(x)),
  ...attention(),
};
