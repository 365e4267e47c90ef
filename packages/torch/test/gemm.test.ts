import '@cm/gradients';
import { configureTorch, isInstalled, type Precision } from '@cm/torch';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const normal = (shape: number[], seed: number) => tf.randomNormal(shape, 0, 1, 'float32', seed);

/** aᵀ or a times b or bᵀ, every product by itself. */
function product(a: tf.Tensor, b: tf.Tensor, transposeA: boolean, transposeB: boolean): tf.Tensor {
  const [left, right] = [transposeA ? tf.transpose(a) : a, transposeB ? b : tf.transpose(b)];
  return tf.sum(tf.mul(tf.expandDims(left, 1), tf.expandDims(right, 0)), 2);
}

const difference = (x: tf.Tensor, exact: tf.Tensor) =>
  tf.norm(tf.sub(x, exact)).dataSync()[0]! / tf.norm(exact).dataSync()[0]!;

// Sizes that fill panels, blocks and pairs, and that do not; some are left to libtorch.
const SIZES = [
  [16, 64, 16],
  [97, 40, 80],
  [200, 130, 64],
  [208, 130, 64],
  [40, 1100, 192],
  [30, 1100, 96],
  [33, 31, 48],
  [32, 701, 48],
  [50, 144, 80],
  [64, 9, 7],
  [1, 64, 64],
] as const;
const PRECISIONS: readonly [Precision, number][] = [
  ['float32', 2e-6],
  // Factors are rounded, and sums too where libtorch computes them.
  ['bfloat16', 1.5e-2],
];

describe.skipIf(!isInstalled())('matrix products (left out where `cm-torch setup` has not been run)', () => {
  beforeAll(async () => {
    await tf.setBackend('torch');
  });
  afterAll(() => {
    configureTorch({});
  });

  it.each(PRECISIONS)('in %s are sums of products', (precision, tolerance) => {
    configureTorch({ precision, threads: 2 });
    for (const [rows, depth, columns] of SIZES) {
      for (const [transposeA, transposeB] of [
        [false, false],
        [false, true],
        [true, false],
        [true, true],
      ] as const) {
        const a = normal(transposeA ? [depth, rows] : [rows, depth], 1);
        const b = normal(transposeB ? [columns, depth] : [depth, columns], 2);
        const y = tf.matMul(a, b, transposeA, transposeB);
        expect(y.shape).toEqual([rows, columns]);
        expect(difference(y, product(a, b, transposeA, transposeB))).toBeLessThan(tolerance);
      }
    }
  });

  it('of many matrices with one are those of each', () => {
    configureTorch({ threads: 2 });
    const [a, b] = [normal([3, 20, 32], 1), normal([1, 32, 48], 2)];
    const y = tf.matMul(a, b) as tf.Tensor3D;
    expect(y.shape).toEqual([3, 20, 48]);
    const second = product(
      tf.reshape(tf.slice(a, [1, 0, 0], [1, 20, 32]), [20, 32]),
      tf.reshape(b, [32, 48]),
      false,
      false,
    );
    expect(difference(tf.reshape(tf.slice(y, [1, 0, 0], [1, 20, 48]), [20, 48]), second)).toBeLessThan(2e-6);
  });

  it.each(PRECISIONS)('of pixels are 1 × 1 convolutions, with their gradients, in %s', (precision, tolerance) => {
    configureTorch({ precision, threads: 2 });
    for (const [batch, size, channels, outputs] of [
      [2, 15, 32, 80],
      [3, 12, 48, 16],
      [2, 16, 24, 48],
      [1, 1, 32, 32],
    ] as const) {
      const x = normal([batch, size, size, channels], 1) as tf.Tensor4D;
      const filter = normal([1, 1, channels, outputs], 2) as tf.Tensor4D;
      const dy = normal([batch, size, size, outputs], 3);
      const convolution = (a: tf.Tensor4D, b: tf.Tensor4D) => tf.conv2d(a, b, 1, 'same');
      const [dx, df] = tf.grads((a, b) => convolution(a as tf.Tensor4D, b as tf.Tensor4D))([x, filter], dy);
      const rows = (image: tf.Tensor) => tf.reshape(image, [-1, image.shape[3]!]);
      const [pixels, matrix, slopes] = [rows(x), rows(filter), rows(dy)];
      expect(difference(rows(convolution(x, filter)), product(pixels, matrix, false, false))).toBeLessThan(tolerance);
      expect(difference(rows(dx!), product(slopes, matrix, false, true))).toBeLessThan(tolerance);
      expect(difference(rows(df!), product(pixels, slopes, true, false))).toBeLessThan(tolerance);
    }
  });
});
