import { u, useWasm } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectSameAsOnCpu } from './on-cpu';

beforeAll(useWasm);

const subsets = (rank: number) =>
  Array.from({ length: 2 ** rank }, (_, bits) =>
    Array.from({ length: rank }, (_, axis) => axis).filter((axis) => bits & (1 << axis)),
  );

describe.each([
  ['sum', tf.sum],
  ['mean', tf.mean],
  ['max', tf.max],
] as const)('%s', (_, reduce) => {
  it.each([[[3, 4, 5, 6]], [[2, 1, 3, 33]], [[300, 2, 1, 17]]])('of [%j] over every set of axes', async (shape) => {
    const x = tf.tensor(u('x', tf.util.sizeFromShape(shape)), shape);
    for (const axes of subsets(4)) {
      await expectSameAsOnCpu(() => reduce(x, axes, axes.length % 2 === 0));
    }
    await expectSameAsOnCpu(() => reduce(x));
  });
});

it('of integers is left to tfjs', () => expectSameAsOnCpu(() => tf.sum(tf.range(0, 7, 1, 'int32'))));

it('the maximum of a NaN and of nothing', async () => {
  await useWasm();
  expect([...tf.max(tf.tensor2d([1, Number.NaN, 3, 5], [2, 2]), 0).dataSync()]).toEqual([3, Number.NaN]);
  for (let at = 0; at < 11; at++) {
    const values = Array.from({ length: 11 }, (_, i) => (i === at ? Number.NaN : i));
    expect(tf.max(tf.tensor1d(values)).dataSync()[0]).toBeNaN();
  }
  expect([...tf.max(tf.zeros([0, 2]), 0).dataSync()]).toEqual([Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]);
});

it('nothing sums to zero', async () => {
  await useWasm();
  expect([...tf.sum(tf.zeros([0, 3]), 0).dataSync()]).toEqual([0, 0, 0]);
});

it('a long sum of equal values keeps float32 precision', async () => {
  await useWasm();
  const n = 1 << 21;
  expect(tf.sum(tf.fill([n], 0.1)).dataSync()[0]! / n).toBeCloseTo(Math.fround(0.1), 6);
  expect(tf.sum(tf.fill([n / 16, 16], 0.1), 0).dataSync()[0]! / (n / 16)).toBeCloseTo(Math.fround(0.1), 5);
});
