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
  pad?: 'same' | 'valid' | number | tf.backend_util.ExplicitPadding;
  dilations?: number | [number, number];
}

const cases: Case[] = [
  { x: [2, 5, 7, 4], filter: [3, 3, 4, 8] },
  { x: [1, 4, 4, 1], filter: [3, 3, 1, 1] },
  { x: [3, 6, 5, 2], filter: [3, 3, 2, 5] },
  { x: [2, 6, 6, 3], filter: [3, 3, 3, 16] },
  { x: [2, 6, 6, 9], filter: [3, 3, 9, 1] },
  { x: [2, 5, 5, 8], filter: [3, 3, 8, 12], pad: 'valid' },
  { x: [2, 7, 6, 8], filter: [3, 3, 8, 9], strides: 2 },
  { x: [2, 7, 8, 5], filter: [3, 3, 5, 7], strides: 2, pad: 'valid' },
  { x: [2, 9, 8, 4], filter: [2, 3, 4, 4], strides: [3, 2] },
  { x: [2, 5, 6, 12], filter: [1, 1, 12, 10] },
  { x: [2, 5, 6, 6], filter: [1, 1, 6, 10], strides: 2 },
  { x: [1, 1, 1, 20], filter: [3, 3, 20, 17] },
  { x: [1, 6, 6, 4], filter: [3, 3, 4, 4], pad: 2 },
  {
    x: [1, 6, 6, 4],
    filter: [3, 2, 4, 4],
    pad: [
      [0, 0],
      [2, 1],
      [0, 2],
      [0, 0],
    ],
  },
  { x: [1, 5, 6, 4], filter: [1, 1, 4, 4], pad: 1 },
  { x: [1, 20, 19, 4], filter: [5, 7, 4, 3] },
  { x: [5, 16, 16, 8], filter: [3, 3, 8, 24] },
  { x: [3, 7, 5, 8], filter: [3, 3, 8, 2], strides: 2 },
  { x: [3, 7, 5, 2], filter: [3, 3, 2, 8], strides: 2 },
  { x: [1, 17, 17, 12], filter: [3, 3, 12, 1], pad: 'valid' },
  { x: [2, 5, 5, 7], filter: [3, 3, 7, 4] },
  { x: [2, 4, 4, 150], filter: [3, 3, 150, 131] },
  // Pixels and rows of the filter's gradient in several pieces.
  { x: [3, 23, 19, 20], filter: [3, 3, 20, 12] },
  { x: [3, 47, 19, 7], filter: [2, 5, 7, 10], strides: [2, 1] },
  // Few results.
  { x: [3, 23, 19, 20], filter: [3, 3, 20, 4] },
  { x: [2, 23, 29, 36], filter: [3, 3, 36, 3], pad: 'valid' },
  { x: [2, 9, 7, 5], filter: [3, 3, 5, 4] },
  { x: [2, 9, 7, 3], filter: [3, 3, 3, 3] },
];

const name = ({ x, filter, strides = 1, pad = 'same' }: Case) =>
  `[${x}] by [${filter}], strides ${strides}, pad ${JSON.stringify(pad)}`;

describe.each(cases.map((c) => [name(c), c] as const))('convolution of %s', (_, c) => {
  const { x: shape, filter, strides = 1, pad = 'same' } = c;
  const x = () => tf.tensor4d(u('x', tf.util.sizeFromShape(shape)), shape);
  const w = () => tf.tensor4d(u('w', tf.util.sizeFromShape(filter)), filter);
  const outShape = tf.backend_util.computeConv2DInfo(shape, filter, strides, 1, pad).outShape;
  const dy = () => tf.tensor4d(u('dy', tf.util.sizeFromShape(outShape)), outShape);

  it('forward', () => expectSameAsOnCpu(() => tf.conv2d(x(), w(), strides, pad)));

  it('gradient by the input', () =>
    expectSameAsOnCpu(
      () =>
        tf
          .engine()
          .runKernel(
            tf.Conv2DBackpropInput,
            { dy: dy(), filter: w() },
            { strides, pad, dataFormat: 'NHWC', inputShape: shape },
          ) as tf.Tensor,
    ));

  it('gradient by the filter', () =>
    expectSameAsOnCpu(
      () =>
        tf
          .engine()
          .runKernel(
            tf.Conv2DBackpropFilter,
            { x: x(), dy: dy() },
            { strides, pad, dataFormat: 'NHWC', filterShape: filter },
          ) as tf.Tensor,
    ));
});

it('dilated filters', () =>
  expectSameAsOnCpu(() =>
    tf.conv2d(
      tf.tensor4d(u('x', 2 * 8 * 9 * 5), [2, 8, 9, 5]),
      tf.tensor4d(u('w', 9 * 5 * 6), [3, 3, 5, 6]),
      1,
      'same',
      'NHWC',
      [2, 3],
    ),
  ));

it('an empty batch gives a zero gradient of the filter', async () => {
  await useWasm();
  const dw = tf
    .engine()
    .runKernel(
      tf.Conv2DBackpropFilter,
      { x: tf.zeros([0, 4, 4, 4]), dy: tf.zeros([0, 4, 4, 8]) },
      { strides: 1, pad: 'same', dataFormat: 'NHWC', filterShape: [3, 3, 4, 8] },
    ) as tf.Tensor;
  expect(dw.dataSync().every((value) => value === 0)).toBe(true);
});

it('says what it cannot do', async () => {
  await useWasm();
  const x = tf.zeros([1, 4, 4, 4]);
  const attrs = { strides: 1, pad: 'same', dataFormat: 'NHWC', filterShape: [3, 3, 4, 8] };
  expect(() => tf.engine().runKernel(tf.Conv2DBackpropFilter, { x, dy: tf.zeros([1, 4, 3, 8]) }, attrs)).toThrow(
    'Conv2DBackpropFilter: dy has shape [1,4,3,8], expected [1,4,4,8]',
  );
  expect(() =>
    tf
      .engine()
      .runKernel(tf.Conv2DBackpropFilter, { x, dy: x }, { ...attrs, dataFormat: 'NCHW', filterShape: [3, 3, 4, 4] }),
  ).toThrow('Conv2DBackpropFilter: not supported on the wasm backend');
});
