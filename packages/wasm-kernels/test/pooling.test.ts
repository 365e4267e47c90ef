import { u, useWasm } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, it } from 'vitest';
import { expectSameAsOnCpu } from './on-cpu';

beforeAll(useWasm);

type Shape = [number, number, number, number];
const run = (shape: Shape, filterSize: number, strides: number, pad: 'same' | 'valid' | number) => {
  const { outShape } = tf.backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad);
  const dy = tf.tensor(u('dy', tf.util.sizeFromShape(outShape)), outShape);
  return tf
    .engine()
    .runKernel(tf.AvgPoolGrad, { dy, input: tf.zeros(shape) }, { filterSize, strides, pad }) as tf.Tensor;
};

it.each([
  [[2, 6, 8, 5], 2, 2, 'same'],
  [[1, 7, 7, 4], 3, 2, 'same'],
  [[2, 7, 6, 3], 3, 1, 'valid'],
  [[1, 5, 5, 9], 3, 2, 1],
] as const)('average pooling gradient of [%j], window %i, stride %i, pad %s', (shape, filterSize, strides, pad) =>
  expectSameAsOnCpu(() => run([...shape] as Shape, filterSize, strides, pad)),
);

it('refuses dy of another shape', async () => {
  await useWasm();
  const attrs = { filterSize: 2, strides: 2, pad: 'same' };
  expect(() =>
    tf.engine().runKernel(tf.AvgPoolGrad, { dy: tf.zeros([1, 4, 4, 1]), input: tf.zeros([1, 4, 4, 1]) }, attrs),
  ).toThrow('dy has shape [1,4,4,1], expected [1,2,2,1]');
});
