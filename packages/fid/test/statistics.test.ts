import { expectClose } from '@cm/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type FeatureMatrix, featureAccumulator, featureStatistics, mergeMoments } from '../src/index';
import { mapped, rows, x } from './features';

describe('feature statistics', () => {
  it('are the mean and the covariance with n − 1', () => {
    const { count, mean, covariance } = featureStatistics({ shape: [3, 2], values: Float64Array.of(1, 0, 2, 4, 6, 5) });
    expect(count).toBe(3);
    expectClose(mean, [3, 3], 1e-15);
    expectClose(covariance, [7, 5.5, 5.5, 7], 1e-15);
  });

  it('do not depend on the batches, even a thousand deviations away from zero', () => {
    const far = mapped(x, (value) => value + 1000);
    const whole = featureStatistics(x);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 8 }), (sizes) => {
        const accumulator = featureAccumulator(x.shape[1]);
        for (let from = 0, batch = 0; from < x.shape[0]; batch++) {
          const to = Math.min(from + sizes[batch % sizes.length]!, x.shape[0]);
          accumulator.add(rows(far, from, to));
          from = to;
        }
        const { count, mean, covariance } = accumulator.statistics();
        expect(count).toBe(x.shape[0]);
        expectClose(
          mean,
          whole.mean.map((value) => value + 1000),
          1e-13,
        );
        expectClose(covariance, whole.covariance, 1e-11);
      }),
      { numRuns: 20 },
    );
  });

  it('of parts merge, single images and nothing included', () => {
    const accumulators = [rows(x, 0, 1), rows(x, 1, 2), rows(x, 2, 300), rows(x, 300, 300), rows(x, 300, 500)].map(
      (part) => {
        const accumulator = featureAccumulator(x.shape[1]);
        accumulator.add(part);
        return accumulator;
      },
    );
    const merged = accumulators.map((accumulator) => accumulator.moments()).reduce(mergeMoments);
    const total = featureAccumulator(x.shape[1]);
    for (const accumulator of accumulators) total.merge(accumulator.moments());
    const whole = featureStatistics(x);
    expect(merged.count).toBe(500);
    expectClose(merged.mean, whole.mean, 1e-13);
    expectClose(
      merged.scatter,
      whole.covariance.map((value) => value * 499),
      1e-12,
    );
    expectClose(total.statistics().covariance, whole.covariance, 1e-12);
  });

  it('are copies', () => {
    const accumulator = featureAccumulator(1);
    accumulator.add({ shape: [2, 1], values: Float64Array.of(1, 3) });
    const { mean, covariance } = accumulator.statistics();
    mean[0] = 99;
    covariance[0] = 99;
    expect(accumulator.statistics()).toEqual({ count: 2, mean: Float64Array.of(2), covariance: Float64Array.of(2) });
  });

  it.each<[string, FeatureMatrix, string]>([
    ['features of another size', { shape: [1, 3], values: new Float32Array(3) }, 'shape [1, 3], expected [*, 2]'],
    ['values of another number', { shape: [2, 2], values: new Float32Array(3) }, '3 values of shape [2, 2]'],
    ['NaN', { shape: [2, 2], values: Float32Array.of(1, 2, Number.NaN, 4) }, 'feature 0 of row 1 is NaN'],
    ['infinity', { shape: [1, 2], values: Float32Array.of(1, -Infinity) }, 'feature 1 of row 0 is -Infinity'],
  ])('refuse %s, and take none of the batch', (_, features, message) => {
    const accumulator = featureAccumulator(2);
    expect(() => accumulator.add(features)).toThrow(RangeError);
    expect(() => accumulator.add(features)).toThrow(message);
    expect(accumulator.moments()).toEqual({ count: 0, mean: new Float64Array(2), scatter: new Float64Array(4) });
  });

  it('need two images, and features', () => {
    expect(() => featureStatistics(rows(x, 0, 1))).toThrow('features of 1 images, expected at least 2');
    expect(() => featureAccumulator(0)).toThrow('size is 0');
    expect(() => featureAccumulator(2).merge(featureAccumulator(3).moments())).toThrow('3 features, expected 2');
  });
});
