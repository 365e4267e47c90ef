import { u, useWasm } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectSameAsOnCpu } from './on-cpu';

beforeAll(useWasm);

type Shape = [number, number, number, number];
interface Case {
  x: Shape;
  filter: Shape;
  strides?: number | [number, number];
  pad?: 'same' | 'valid' | number;
}

const cases: Case[] = [
  { x: [2, 5, 7, 4], filter: [3, 3, 4, 1] },
  { x: [1, 4, 4, 1], filter: [3, 3, 1, 1] },
  { x: [2, 6, 5, 39], filter: [3, 3, 39, 1] },
  { x: [2, 6, 5, 16], filter: [3, 3, 16, 1], pad: 'valid' },
  { x: [2, 7, 6, 19], filter: [3, 3, 19, 1], strides: 2 },
  { x: [2, 9, 8, 5], filter: [2, 3, 5, 1], strides: [3, 2] },
  { x: [1, 6, 6, 4], filter: [4, 4, 4, 1], pad: 2 },
  { x: [1, 7, 15, 20], filter: [3, 3, 20, 1] },
  { x: [11, 6, 13, 25], filter: [2, 3, 25, 1], pad: 'valid' },
  { x: [2, 9, 21, 12], filter: [3, 3, 12, 1], strides: 2 },
  { x: [2, 4, 5, 4], filter: [3, 3, 4, 1], strides: 4 },
  { x: [2, 8, 10, 8], filter: [3, 3, 8, 1], strides: 2, pad: 1 },
  { x: [1, 9, 11, 18], filter: [3, 3, 18, 1], strides: 2, pad: 2 },
  { x: [1, 5, 6, 6], filter: [3, 3, 6, 1], pad: 2 },
  { x: [3, 9, 12, 21], filter: [3, 3, 21, 1], strides: [2, 1] },
  { x: [2, 7, 9, 16], filter: [2, 3, 16, 1], strides: [1, 2], pad: 'valid' },
  { x: [1, 12, 6, 5], filter: [9, 3, 5, 1] },
  { x: [1, 6, 4, 17], filter: [1, 3, 17, 1] },
  { x: [2, 5, 6, 3], filter: [3, 3, 3, 2] },
  { x: [2, 7, 6, 9], filter: [3, 2, 9, 3], strides: 2, pad: 1 },
];

const name = ({ x, filter, strides = 1, pad = 'same' }: Case) =>
  `[${x}] by [${filter}], strides ${strides}, pad ${pad}`;

describe.each(cases.map((c) => [name(c), c] as const))('depthwise convolution of %s', (_, c) => {
  const { x: shape, filter: filterShape, strides = 1, pad = 'same' } = c;
  const { outShape } = tf.backend_util.computeConv2DInfo(shape, filterShape, strides, 1, pad, undefined, true);
  const attributes = { strides, pad, dilations: 1, inputShape: shape, filterShape };
  const tensor = (label: string, of: Shape) => tf.tensor4d(u(label, tf.util.sizeFromShape(of)), of);
  const run = (kernel: string, inputs: () => tf.NamedTensorMap) =>
    expectSameAsOnCpu(() => tf.engine().runKernel(kernel, inputs(), attributes) as tf.Tensor);

  it('forward', () =>
    run(tf.DepthwiseConv2dNative, () => ({ x: tensor('x', shape), filter: tensor('w', filterShape) })));

  it('gradient by the input', () =>
    run(tf.DepthwiseConv2dNativeBackpropInput, () => ({
      dy: tensor('dy', outShape),
      filter: tensor('w', filterShape),
    })));

  it('gradient by the filter', () =>
    run(tf.DepthwiseConv2dNativeBackpropFilter, () => ({ x: tensor('x', shape), dy: tensor('dy', outShape) })));
});

it('dilated taps read pixels apart, as on the CPU', async () => {
  const x = () => tf.tensor4d(u('x', 2 * 7 * 8 * 5), [2, 7, 8, 5]);
  const w = () => tf.tensor4d(u('w', 9 * 5), [3, 3, 5, 1]);
  await expectSameAsOnCpu(() => tf.depthwiseConv2d(x(), w(), 1, 'same', 'NHWC', 2));
});

it('refuses a gradient of another shape', async () => {
  await useWasm();
  const dy = tf.zeros([1, 4, 4, 3]);
  const attributes = { strides: 1, pad: 'same', dilations: 1, inputShape: [1, 4, 4, 2] };
  expect(() =>
    tf
      .engine()
      .runKernel(tf.DepthwiseConv2dNativeBackpropInput, { dy, filter: tf.zeros([3, 3, 2, 1]) }, attributes as never),
  ).toThrow('DepthwiseConv2dNativeBackpropInput: dy has shape [1,4,4,3], expected [1,4,4,2]');
});
