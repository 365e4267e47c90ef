import { expectNoLeak, onEveryBackend } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import {
  bernoulli,
  dropoutMask,
  integerArray,
  integers,
  key,
  normal,
  normalArray,
  normalRows,
  split,
  uniform,
  uniformArray,
} from '../src/index';

const k = split(key(9), 'tensors');

onEveryBackend(() => {
  it('tensors are the arrays in row-major order', () => {
    expect([...normal(k, [3, 5]).dataSync()]).toEqual([...normalArray(k, 15)]);
    expect([...uniform(k, [3, 5]).dataSync()]).toEqual([...uniformArray(k, 15)]);
    expect([...integers(k, [3, 5], { low: 2, high: 9 }).dataSync()]).toEqual([
      ...integerArray(k, 15, { low: 2, high: 9 }),
    ]);
    expect(normal(k, [3, 5]).shape).toEqual([3, 5]);
    expect(normal(k, []).shape).toEqual([]);
    expect([uniform(k, [1]), integers(k, [1], { high: 2 }), bernoulli(k, [1], 0.5)].map((t) => t.dtype)).toEqual([
      'float32',
      'int32',
      'bool',
    ]);
  });

  it('bernoulli is true with its probability', () => {
    const share = (p: number) => tf.mean(tf.cast(bernoulli(k, [100_000], p), 'float32')).dataSync()[0]!;
    expect([share(0), share(1)]).toEqual([0, 1]);
    for (const p of [0.001, 0.25, 0.9]) {
      expect(Math.abs(share(p) - p)).toBeLessThan(4 * Math.sqrt((p * (1 - p)) / 100_000));
    }
  });

  it('a row of normalRows depends on its own number alone', () => {
    const all = normalRows(k, [0, 1, 2, 3, 2 ** 40], [4, 5, 3]);
    expect(all.shape).toEqual([5, 4, 5, 3]);
    const some = normalRows(k, new Float64Array([2 ** 40, 1]), [4, 5, 3]);
    expect([...some.dataSync()]).toEqual([...tf.gather(all, tf.tensor1d([4, 1], 'int32')).dataSync()]);
  });

  it('rows longer than the kernel buffer are whole', () => {
    const long = normalRows(k, [6], [20_000]).dataSync();
    expect([...normalRows(k, [5, 6], [16_500]).dataSync().subarray(16_500)]).toEqual([...long.subarray(0, 16_500)]);
    expect(new Set(long).size).toBeGreaterThan(19_900);
  });

  it('normalRows of many rows are normal, and independent of one another', () => {
    const { mean, variance } = tf.moments(
      normalRows(
        k,
        Int32Array.from({ length: 2000 }, (_, i) => i),
        [100],
      ),
    );
    expect(Math.abs(mean.dataSync()[0]!)).toBeLessThan(4 / Math.sqrt(200_000));
    expect(Math.abs(variance.dataSync()[0]! - 1)).toBeLessThan(4 * Math.sqrt(2 / 200_000));
    const first = tf.squeeze(
      tf.slice(
        normalRows(
          k,
          Int32Array.from({ length: 20_000 }, (_, i) => i),
          [2],
        ),
        [0, 0],
        [-1, 1],
      ),
    );
    const product = tf.mul(tf.slice(first, 0, 19_999), tf.slice(first, 1, 19_999)) as tf.Tensor1D;
    expect(Math.abs(tf.sum(product).dataSync()[0]!) / Math.sqrt(19_999)).toBeLessThan(4);
  });

  it('a dropout mask is 0 or 1/(1 − rate), with mean 1, and the same for any subset of rows', () => {
    const rate = 0.4;
    const rows = Int32Array.from({ length: 100 }, (_, i) => i);
    const mask = dropoutMask(k, rows, [10, 10, 10], rate);
    const values = mask.dataSync();
    expect(new Set(values)).toEqual(new Set([0, Math.fround(1 / (1 - rate))]));
    const error = Math.sqrt(rate / (1 - rate) / values.length);
    expect(Math.abs(tf.mean(mask).dataSync()[0]! - 1)).toBeLessThan(4 * error);
    const subset = dropoutMask(k, [17, 3], [10, 10, 10], rate);
    expect([...subset.dataSync()]).toEqual([...tf.gather(mask, tf.tensor1d([17, 3], 'int32')).dataSync()]);
  });

  it('dropout at rate 0 keeps everything', () => {
    expect([...dropoutMask(k, [0, 1], [3], 0).dataSync()]).toEqual([1, 1, 1, 1, 1, 1]);
  });

  it('no tensor is left behind', async () => {
    await expectNoLeak(() => {
      const made = [normal(k, [4]), uniform(k, [4]), integers(k, [4], { high: 3 }), bernoulli(k, [4], 0.5)];
      tf.dispose([...made, normalRows(k, [1, 2], [3]), dropoutMask(k, [1, 2], [3], 0.5)]);
    });
  });

  it.each([
    [() => normal(k, [2, -1]), 'normal: shape[1] is -1, expected a whole number'],
    [() => bernoulli(k, [2], 1.5), 'bernoulli: p is 1.5, expected 0 to 1'],
    [() => normalRows(k, [0, -1], [2]), 'normalRows: rows[1] is -1, expected a whole number'],
    [() => dropoutMask(k, [0], [2], 1), 'dropoutMask: rate is 1, expected below 1'],
    [() => dropoutMask(k, [0], [2], Number.NaN), 'dropoutMask: rate is NaN, expected 0 to 1'],
  ])('bad arguments are refused (%#)', (call, message) => {
    expect(call).toThrow(message);
  });
});
