import { u, useWasm } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectSameAsOnCpu } from './on-cpu';

beforeAll(useWasm);

const tensor = (name: string, shape: number[]) => tf.tensor(u(name, tf.util.sizeFromShape(shape)), shape);

const shapes: [number[], number[]][] = [
  [[], []],
  [[7], [7]],
  [[2, 3, 5], []],
  [[], [2, 3, 5]],
  [
    [2, 3, 4, 6],
    [1, 1, 1, 6],
  ],
  [
    [2, 1, 1, 6],
    [2, 3, 4, 6],
  ],
  [
    [2, 3, 4, 1],
    [2, 3, 4, 6],
  ],
  [
    [3, 1, 5],
    [4, 1],
  ],
  [
    [2, 1, 3, 1, 2, 1],
    [1, 4, 1, 2, 1, 3],
  ],
  [
    [0, 3],
    [1, 3],
  ],
];

const operations = {
  add: tf.add,
  sub: tf.sub,
  mul: tf.mul,
  div: tf.div,
  maximum: tf.maximum,
  minimum: tf.minimum,
  greater: tf.greater,
  greaterEqual: tf.greaterEqual,
  less: tf.less,
  lessEqual: tf.lessEqual,
  equal: tf.equal,
  notEqual: tf.notEqual,
};

describe.each(Object.entries(operations))('%s', (_, operation) => {
  it.each(shapes)('of [%j] and [%j]', (a, b) =>
    // Rounded to a few values, so that some are equal; none is zero.
    expectSameAsOnCpu(() => {
      const coarse = (x: tf.Tensor) => tf.div(tf.add(tf.round(tf.mul(x, 3)), 0.5), 3);
      return operation(coarse(tensor('a', a)), coarse(tensor('b', b)));
    }, 1e-6),
  );

  it('of NaN and infinities', () =>
    expectSameAsOnCpu(() => {
      const values = [Number.NaN, Number.POSITIVE_INFINITY, 1, -1, Number.NEGATIVE_INFINITY];
      const y = tf.cast(operation(tf.tensor(values, [5, 1]), tf.tensor(values, [1, 5])), 'float32');
      // In whole numbers, which compare.
      return tf.where(tf.isNaN(y), 5, tf.where(tf.isInf(y), tf.where(tf.greater(y, 0), 7, 8), y));
    }));
});

it('integers are left to tfjs', () =>
  expectSameAsOnCpu(() => tf.add(tf.tensor1d([1, 2, 3], 'int32'), tf.tensor1d([4, 5, 6], 'int32'))));

it('shapes that do not broadcast are refused', async () => {
  await useWasm();
  expect(() => tf.engine().runKernel(tf.Add, { a: tf.zeros([2, 3]), b: tf.zeros([2, 4]) })).toThrow('broadcast');
});

it.each([[0], [1], [4], [19]])('roots and selection of %i values', async (n) => {
  const x = () => tf.add(tensor('x', [n]), 1.5);
  await expectSameAsOnCpu(() => tf.sqrt(x()));
  await expectSameAsOnCpu(() => tf.rsqrt(x()));
  await expectSameAsOnCpu(() => tf.where(tf.greater(tensor('c', [n]), 0), x(), tensor('y', [n])));
});

it('selection of integers is left to tfjs', () =>
  expectSameAsOnCpu(() =>
    tf.where(tf.tensor1d([1, 0], 'bool'), tf.tensor1d([1, 2], 'int32'), tf.tensor1d([3, 4], 'int32')),
  ));

it('exponentials to the ends of float32', async () => {
  await useWasm();
  const x = [-Infinity, -104, -103, -95, -87.5, -87, -1, -1e-7, 0, 0.3, 1, 86.9, 87.1, 88, 88.7, 89, 1000, Infinity];
  const y = tf.exp(tf.tensor1d(x)).dataSync();
  x.forEach((value, i) => {
    const exact = Math.fround(Math.exp(Math.fround(value)));
    // Of subnormal results the last few bits may differ.
    if (exact === Infinity || exact === 0) expect(y[i]).toBe(exact);
    else expect(Math.abs(y[i]! - exact)).toBeLessThanOrEqual(4e-7 * exact + 3e-45);
  });
  expect(tf.exp(tf.tensor1d([Number.NaN])).dataSync()[0]).toBeNaN();
});
