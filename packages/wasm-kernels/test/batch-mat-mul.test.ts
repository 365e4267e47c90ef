import { u, useWasm } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectSameAsOnCpu } from './on-cpu';

beforeAll(useWasm);

const matrices = (batchA: number[], batchB: number[], m: number, n: number, k: number, ta: boolean, tb: boolean) => {
  const tensor = (name: string, shape: number[]) => tf.tensor(u(name, tf.util.sizeFromShape(shape)), shape);
  const a = tensor('a', [...batchA, ...(ta ? [k, m] : [m, k])]);
  const b = tensor('b', [...batchB, ...(tb ? [n, k] : [k, n])]);
  return () => tf.matMul(a, b, ta, tb);
};

const transposes = [
  [false, false],
  [false, true],
  [true, false],
  [true, true],
] as const;

describe.each(transposes)('matrix product, transposed %s and %s', (ta, tb) => {
  it.each([
    [1, 1, 1],
    [4, 8, 5],
    [3, 7, 2],
    [5, 9, 1],
    [65, 17, 300],
    [7, 600, 13],
    [130, 3, 40],
    [2, 2, 1111],
    [6, 1050, 257],
    [9, 11, 5003],
  ])('%i × %i, inner %i', (m, n, k) => expectSameAsOnCpu(matrices([], [], m, n, k, ta, tb)));

  it('of any sizes', async () => {
    const size = fc.integer({ min: 1, max: 40 });
    await fc.assert(
      fc.asyncProperty(size, size, size, fc.integer({ min: 1, max: 3 }), (m, n, k, batch) =>
        expectSameAsOnCpu(matrices([batch], [batch], m, n, k, ta, tb)),
      ),
      { numRuns: 40 },
    );
  });

  it.each([
    [[3], [1]],
    [[1], [3]],
    [
      [2, 3],
      [2, 3],
    ],
    [
      [2, 3],
      [1, 1],
    ],
  ])('with batches %j and %j', (batchA, batchB) => expectSameAsOnCpu(matrices(batchA, batchB, 5, 6, 7, ta, tb)));

  it('with both batches broadcast', async () => {
    await useWasm();
    const a = tf.tensor(u('a', 2 * 20), [2, 1, ...(ta ? [5, 4] : [4, 5])]);
    const b = tf.tensor(u('b', 3 * 30), [1, 3, ...(tb ? [6, 5] : [5, 6])]);
    const both = tf.matMul(a, b, ta, tb);
    const tiled = tf.matMul(tf.tile(a, [1, 3, 1, 1]), tf.tile(b, [2, 1, 1, 1]), ta, tb);
    expect(both.shape).toEqual([2, 3, 4, 6]);
    expect(both.dataSync()).toEqual(tiled.dataSync());
  });
});

it('an empty inner size gives zeros', async () => {
  await useWasm();
  expect([...tf.matMul(tf.zeros([2, 0]), tf.zeros([0, 3])).dataSync()]).toEqual([0, 0, 0, 0, 0, 0]);
});

it('says which argument is wrong', async () => {
  await useWasm();
  const run = (a: tf.Tensor, b: tf.Tensor) =>
    tf.engine().runKernel(tf.BatchMatMul, { a, b }, { transposeA: false, transposeB: false });
  expect(() => run(tf.zeros([2, 3], 'int32'), tf.zeros([3, 2]))).toThrow('a is int32 and b float32, expected float32');
  expect(() => run(tf.zeros([2, 3]), tf.zeros([4, 2]))).toThrow('inner sizes 3 and 4 differ');
});
