import { describe, expect, it } from 'vitest';
import { type FeatureMatrix, kid, precisionRecall } from '../src/index';
import { fixture, mapped, rows, x, y } from './features';

const points = (...values: number[]): FeatureMatrix => ({
  shape: [values.length, 1],
  values: Float64Array.from(values),
});

describe('the kernel distance', () => {
  it('is the reference’s', () => {
    expect(Math.abs(kid(x, y) / fixture.kid_mmd2_unbiased - 1)).toBeLessThan(1e-10);
  });

  it('with a linear kernel is the difference of means, without bias', () => {
    // (mean of products of different rows): 1·3 + … over a, b and between.
    const linear = { degree: 1, gamma: 1, coefficient: 0 };
    expect(kid(points(1, 3), points(0, 4, 5), linear)).toBeCloseTo(3 + 20 / 3 - 2 * 2 * 3, 12);
  });

  it('takes equal rows for different images', () => {
    expect(kid(points(1, 1), points(1, 1, 1))).toBeCloseTo(0, 12);
  });
});

describe('precision and recall', () => {
  it('are the reference’s', () => {
    const generated = mapped(rows(y, 0, 200), (value) => value * 0.9 + 0.1);
    expect(precisionRecall(rows(x, 0, 200), generated)).toEqual({
      precision: fixture.precision_first200,
      recall: fixture.recall_first200,
    });
  });

  it('tell fidelity from diversity', () => {
    const real = points(0, 1, 2, 3, 4, 5, 6, 7);
    // All within the real ones, which they do not cover.
    expect(precisionRecall(real, points(3, 3.1, 3.2, 3.3), { neighbors: 1 })).toEqual({ precision: 1, recall: 1 / 8 });
    expect(precisionRecall(real, real, { neighbors: 1 })).toEqual({ precision: 1, recall: 1 });
    expect(precisionRecall(real, points(100, 101, 102, 103))).toEqual({ precision: 0, recall: 0 });
  });

  it.each([0, 2.5, 4])('refuses %s neighbours of 4', (neighbors) => {
    expect(() => precisionRecall(points(1, 2, 3, 4, 5), points(1, 2, 3, 4), { neighbors })).toThrow(
      `neighbors is ${neighbors}, expected 1 to 3`,
    );
  });
});

it.each([
  ['kid', kid],
  ['precisionRecall', precisionRecall],
] as const)('%s refuses what it cannot compare', (name, measure) => {
  const some = points(1, 2, 3, 4, 5);
  expect(() => measure(some, { shape: [2, 2], values: new Float32Array(4) })).toThrow(
    `${name}: the features have 1 and 2`,
  );
  expect(() => measure(points(1), some)).toThrow(`${name}: features of 1 images, expected at least 2`);
  expect(() => measure(some, points(1, Number.NaN, 3, 4))).toThrow(`${name}: the features hold NaN`);
  expect(() => measure({ ...some, shape: [4, 1] }, some)).toThrow(`${name}: features has 5 values, expected [4, 1]`);
});
