import { u, useWasm } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectSameAsOnCpu } from './on-cpu';

beforeAll(useWasm);

const tensor = (name: string, shape: number[]) => tf.tensor(u(name, tf.util.sizeFromShape(shape)), shape);

describe('slice', () => {
  it('of any box', () => {
    const axis = fc
      .tuple(fc.integer({ min: 1, max: 6 }), fc.nat(), fc.nat())
      .map(([extent, start, size]) => [extent, start % extent, 1 + (size % (extent - (start % extent)))] as const);
    return fc.assert(
      fc.asyncProperty(fc.array(axis, { minLength: 1, maxLength: 6 }), (axes) => {
        const of = (i: 0 | 1 | 2) => axes.map((own) => own[i]);
        return expectSameAsOnCpu(() => tf.slice(tensor('x', of(0)), of(1), of(2)), 0);
      }),
      { numRuns: 60 },
    );
  });
  it('to the end, of nothing, of integers', async () => {
    await expectSameAsOnCpu(() => tf.slice(tensor('x', [4, 5]), [1, 2], [-1, 2]), 0);
    await expectSameAsOnCpu(() => tf.slice(tensor('x', [4, 5]), [1, 2], [0, 2]), 0);
    await expectSameAsOnCpu(() => tf.slice(tf.range(0, 12, 1, 'int32'), 3, 5), 0);
    await expectSameAsOnCpu(() => tf.slice(tf.tensor1d([1, 0, 1], 'bool'), 1, 2), 0);
  });
  it('outside the tensor is refused', async () => {
    await useWasm();
    expect(() => tf.slice(tensor('x', [4]), [3], [2])).toThrow();
  });
});

describe('concat and split', () => {
  it.each([
    [
      [2, 3, 4],
      [2, 1, 4],
      [2, 5, 4],
    ],
    [
      [3, 1],
      [3, 1],
    ],
    [[3], [0], [2]],
    [
      [1, 4],
      [2, 4],
      [300, 4],
    ],
  ])('of %j', (...shapes) => {
    const axis = shapes[0]!.findIndex((extent, i) => shapes.some((shape) => shape[i] !== extent));
    return expectSameAsOnCpu(
      () =>
        tf.concat(
          shapes.map((shape, i) => tensor(`x${i}`, shape)),
          axis < 0 ? 1 : axis,
        ),
      0,
    );
  });
  it('split in equal and given parts', async () => {
    for (const parts of [3, [1, 0, 5]]) {
      for (const i of [0, 1, 2]) {
        await expectSameAsOnCpu(() => tf.split(tensor('x', [2, 6, 3]), parts, 1)[i]!, 0);
      }
    }
  });
});

it.each([
  [[3], [4]],
  [
    [2, 1, 3],
    [1, 4, 1],
  ],
  [
    [1, 1, 1, 5],
    [2, 3, 4, 1],
  ],
  [
    [2, 3, 2, 2],
    [3, 2, 1, 2],
  ],
  [
    [2, 3],
    [0, 2],
  ],
])('tile of [%j], repeated %j', (shape, reps) => expectSameAsOnCpu(() => tf.tile(tensor('x', shape), reps), 0));

it.each([[[0]], [[1]], [[2]], [[0, 2]], [[0, 1, 2]], [[-1]]])('reverse over axes %j', (axes) =>
  expectSameAsOnCpu(() => tf.reverse(tensor('x', [3, 4, 5]), axes), 0),
);

const permutations = (rank: number): number[][] =>
  rank === 0
    ? [[]]
    : permutations(rank - 1).flatMap((rest) =>
        Array.from({ length: rank }, (_, at) => [...rest.slice(0, at), rank - 1, ...rest.slice(at)]),
      );

it.each([[[5]], [[6, 9]], [[4, 8]], [[3, 5, 7]], [[2, 5, 3, 8]], [[3, 1, 4, 6]], [[2, 3, 2, 3, 4]]])(
  'transpose of [%j] by every permutation',
  async (shape) => {
    const x = tensor('x', shape);
    for (const permutation of permutations(shape.length)) {
      await expectSameAsOnCpu(() => tf.transpose(x, permutation), 0);
    }
  },
);

it('pad', async () => {
  await expectSameAsOnCpu(
    () =>
      tf.pad(
        tensor('x', [2, 3, 4]),
        [
          [1, 0],
          [0, 2],
          [3, 1],
        ],
        0.25,
      ),
    0,
  );
  await expectSameAsOnCpu(() => tf.pad(tensor('x', [3]), [[0, 0]]), 0);
  await expectSameAsOnCpu(
    () =>
      tf.pad(
        tf.zeros([0, 2]),
        [
          [1, 1],
          [0, 1],
        ],
        3,
      ),
    0,
  );
});

describe('gather', () => {
  const indices = (shape: number[], extent: number) =>
    tf.tensor(
      Int32Array.from({ length: tf.util.sizeFromShape(shape) }, (_, i) => (i * 7 + 3) % extent),
      shape,
      'int32',
    );
  it.each([
    [[5], [3], 0, 0],
    [[5, 4], [7], 0, 0],
    [[5, 4], [2, 3], 1, 0],
    [[2, 5, 4], [2, 3], 1, 1],
    [[2, 3, 5, 4], [2, 3], 2, 1],
    [[4, 3], [0], 0, 0],
  ] as const)('of [%j] by [%j], axis %i, batch axes %i', (shape, of, axis, batchDims) =>
    expectSameAsOnCpu(() => tf.gather(tensor('x', [...shape]), indices([...of], shape[axis]!), axis, batchDims), 0),
  );
  it('refuses indices outside', async () => {
    await useWasm();
    expect(() => tf.gather(tensor('x', [3, 2]), tf.tensor1d([0, 3], 'int32'))).toThrow('index 3 is not in [0, 3)');
  });
});

describe('segment sums', () => {
  const ids = () => tf.tensor1d([2, 0, 2, 5, -1, 2], 'int32');
  it.each([[[6]], [[6, 5]], [[6, 2, 9]]])('of [%j]', (shape) =>
    expectSameAsOnCpu(() => tf.unsortedSegmentSum(tensor('x', shape), ids(), 4)),
  );
  it('refuse ids of another length', async () => {
    await useWasm();
    expect(() => tf.unsortedSegmentSum(tensor('x', [5, 2]), ids(), 4)).toThrow(
      'segmentIds has shape [6], expected [5]',
    );
  });
});
