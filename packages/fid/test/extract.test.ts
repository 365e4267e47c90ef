import { expectClose, expectNoLeak, onEveryBackend, unit } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { computeFeatures, computeStatistics, featureStatistics, quantize } from '../src/index';

onEveryBackend(() => {
  const count = 12;
  const values = unit('images', [count, 2, 2, 1]).map((value) => value / 2);
  const batches = (size: number) =>
    Array.from({ length: count / size }, (_, i) =>
      tf.tensor4d(values.slice(i * size * 4, (i + 1) * size * 4), [size, 2, 2, 1]),
    );
  const pixels = (images: tf.Tensor4D) => tf.reshape(images, [images.shape[0], -1]) as tf.Tensor2D;
  const one = (...colors: number[]) => [tf.tensor4d(colors, [colors.length, 1, 1, 1])];

  describe('quantising', () => {
    it('rounds to the nearest of 256 levels, as a file would', () => {
      const images = tf.tensor4d([-3, -1, 0.001, 1.2, -0.99, 0.9999], [1, 2, 3, 1]);
      expectClose(
        quantize(images),
        [0, 0, 128, 255, 1, 255].map((level) => level / 127.5 - 1),
        1e-7,
      );
    });

    it('leaves what comes from a file as it is', () => {
      const levels = tf.tensor4d(
        Float32Array.from({ length: 256 }, (_, i) => i / 127.5 - 1),
        [1, 16, 16, 1],
      );
      expectClose(quantize(levels), levels, 1e-7);
    });
  });

  it('statistics are those of the features of the quantised images', async () => {
    const rounded = values.map((value) => Math.floor((Math.min(Math.max(value, -1), 1) + 1) * 127.5 + 0.5) / 127.5 - 1);
    const expected = featureStatistics({ shape: [count, 4], values: rounded });
    const { mean, covariance } = await computeStatistics(pixels, batches(4));
    expectClose(mean, expected.mean, 1e-6);
    expectClose(covariance, expected.covariance, 1e-6);
  });

  it('statistics and features do not depend on the batch size', async () => {
    const [whole, ...others] = await Promise.all([12, 1, 3].map((size) => computeStatistics(pixels, batches(size))));
    for (const other of others) {
      expect(other.count).toBe(count);
      expectClose(other.mean, whole!.mean, 1e-12);
      expectClose(other.covariance, whole!.covariance, 1e-12);
    }
    const features = await computeFeatures(pixels, batches(2), { quantize: false });
    expect(features.shape).toEqual([count, 4]);
    expectClose(features.values, values, 0);
  });

  it('batches may come one by one, and all are freed', async () => {
    async function* drawn() {
      for (const batch of batches(4)) yield batch;
    }
    await expectNoLeak(async () => {
      expect((await computeStatistics(pixels, drawn())).count).toBe(count);
      await computeStatistics((images) => images as unknown as tf.Tensor2D, []).catch(() => {});
      await computeFeatures(pixels, batches(4), { quantize: false });
    });
  });

  it.each<[string, () => Promise<unknown>, string]>([
    ['no images', () => computeStatistics(pixels, []), 'no images, expected at least 2'],
    ['no images to extract from', () => computeFeatures(pixels, []), 'no images, expected at least 1'],
    ['one image', () => computeStatistics(pixels, one(0)), 'features of 1 images, expected at least 2'],
    ['NaN in an image', () => computeStatistics(pixels, one(0, Number.NaN)), 'images of batch 0 hold NaN'],
    [
      'an infinite image',
      () => computeFeatures(pixels, [...one(0), ...one(Infinity)]),
      'images of batch 1 hold NaN or inf',
    ],
    [
      'NaN in a feature',
      () => computeStatistics((x) => tf.log(tf.sub(pixels(x), 5)), one(0, 0)),
      'batch 0: add: feature 0 of row 0 is NaN',
    ],
    [
      'features without rows',
      () => computeStatistics(() => tf.zeros([1, 3]), one(0, 1)),
      'features have shape [1,3], expected [2, size]',
    ],
    [
      'features of changing size',
      () => computeStatistics(pixels, [...batches(12), ...one(0)]),
      'batch 1: add: features is 1 values of shape [1, 1], expected [*, 4]',
    ],
    [
      'features of changing size, kept',
      () => computeFeatures(pixels, [...batches(12), ...one(0)]),
      'batch 1 has 1 features, expected 4',
    ],
  ])('%s: refused, and nothing that was taken is left', async (_, run, message) => {
    await expect(run()).rejects.toThrow(message);
    await expectNoLeak(() => run().then(undefined, () => undefined) as Promise<void>);
  });
});
