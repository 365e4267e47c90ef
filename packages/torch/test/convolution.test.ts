import '@cm/gradients';
import { configureTorch, isInstalled, type Precision } from '@cm/torch';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installation } from '../src/installation';

/** The convolution as nine matrix products of shifted images. */
function shifted(x: tf.Tensor4D, filter: tf.Tensor4D): tf.Tensor4D {
  const [batch, height, width, channels] = x.shape;
  const outputs = filter.shape[3];
  const padded = tf.pad(x, [
    [0, 0],
    [1, 1],
    [1, 1],
    [0, 0],
  ]) as tf.Tensor4D;
  const terms = Array.from({ length: 9 }, (_, i) => {
    const [row, column] = [Math.floor(i / 3), i % 3];
    const pixels = tf.reshape(tf.slice(padded, [0, row, column, 0], [batch, height, width, channels]), [-1, channels]);
    return tf.matMul(
      pixels,
      tf.reshape(tf.slice(filter, [row, column, 0, 0], [1, 1, channels, outputs]), [channels, outputs]),
    );
  });
  return tf.reshape(tf.addN(terms), [batch, height, width, outputs]);
}

const normal = (shape: [number, number, number, number], seed: number) => tf.randomNormal(shape, 0, 1, 'float32', seed);

/** Images, a filter, and a gradient of what they give. */
const inputs = (batch: number, height: number, width: number, channels: number, outputs: number) =>
  [
    normal([batch, height, width, channels], 1),
    normal([3, 3, channels, outputs], 2),
    normal([batch, height, width, outputs], 3),
  ] as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D];

const largest = (x: tf.Tensor) => tf.max(tf.abs(x)).dataSync()[0]!;

/** Whether the lower halves of all numbers are zero. */
const isBfloat16 = (values: Float32Array) =>
  new Uint32Array(new Float32Array(values).buffer).every((bits) => bits << 16 === 0);

describe.skipIf(!isInstalled())('3 × 3 convolutions (left out where `cm-torch setup` has not been run)', () => {
  beforeAll(async () => {
    await tf.setBackend('torch');
    configureTorch({ threads: 2 });
  });
  afterAll(() => {
    configureTorch({});
  });

  // Sizes of which some are computed by Winograd's algorithm and some are too small for it.
  it.each([
    [3, 16, 12, 32, 48],
    [5, 24, 18, 48, 32],
    [1, 64, 64, 32, 64],
    [6, 16, 24, 160, 112],
    [2, 8, 8, 64, 64],
    [4, 15, 17, 32, 32],
  ])(
    'agree with shifted products: %i images of %i × %i, %i to %i channels',
    (batch, height, width, channels, outputs) => {
      const [x, filter, dy] = inputs(batch, height, width, channels, outputs);
      const by = (f: (a: tf.Tensor4D, b: tf.Tensor4D) => tf.Tensor) =>
        tf.grads((a, b) => f(a as tf.Tensor4D, b as tf.Tensor4D))([x, filter], dy);
      const convolution = (a: tf.Tensor4D, b: tf.Tensor4D) => tf.conv2d(a, b, 1, 'same');
      const pairs = [[convolution(x, filter), shifted(x, filter)]] as [tf.Tensor, tf.Tensor][];
      by(convolution).forEach((gradient, i) => {
        pairs.push([gradient, by(shifted)[i]!]);
      });
      for (const [y, expected] of pairs) {
        expect(y.shape).toEqual(expected.shape);
        expect(largest(tf.sub(y, expected)) / largest(expected)).toBeLessThan(5e-6);
      }
    },
  );

  // Factors are rounded to 8 bits after their transforms, which add four at a time: 0.0046 here, where the direct sum has 0.0029. A CPU without
  // products of bfloat16 rounds no factors, but what is held between kernels. Tiles take rows of 16 pixels, or where those do not divide an image's
  // all of it, large images in bands, and several small ones at a time; threads share out the channels of large filters.
  it.each([
    [3, 16, 12, 32, 48],
    [1, 64, 64, 32, 64],
    [5, 18, 18, 160, 112],
    [5, 7, 9, 64, 80],
    [1, 600, 16, 64, 48],
    [1, 300, 41, 64, 32],
    [2, 5, 1, 16, 32],
    [3, 8, 8, 352, 368],
  ])(
    'in bfloat16 are as near as its rounding: %i images of %i × %i, %i to %i channels',
    (batch, height, width, channels, outputs) => {
      const [x, filter, dy] = inputs(batch, height, width, channels, outputs);
      const run = (precision: Precision) => {
        configureTorch({ precision, threads: 2 });
        const gradients = tf.grads((a, b) => tf.conv2d(a as tf.Tensor4D, b as tf.Tensor4D, 1, 'same'))([x, filter], dy);
        return [tf.conv2d(x, filter, 1, 'same'), ...gradients];
      };
      const exact = run('float32');
      const all = run('bfloat16');
      all.forEach((rounded, i) => {
        const error = tf.norm(tf.sub(rounded, exact[i]!)).dataSync()[0]! / tf.norm(exact[i]!).dataSync()[0]!;
        // The filter's gradient, the last, is float32 of factors that only some processors round.
        expect(error > 0).toBe(i < 2 || installation().instructions.includes('avx512bf16'));
        expect(error).toBeLessThan(0.008);
      });
      const [y, dx] = all;
      for (const images of [y!, dx!]) expect(isBfloat16(images.dataSync() as Float32Array)).toBe(true);
    },
  );
});
