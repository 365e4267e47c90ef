import fc from 'fast-check';
import { expect, it } from 'vitest';
import { normalCdf, normalQuantile } from '../src/normal';

it.each([
  [-8, 6.220960574271786e-16],
  [-6, 9.865876450376981e-10],
  [-3, 0.0013498980316300933],
  [-0.1, 0.460172162722971],
  [0, 0.5],
  [0.7, 0.758036347776927],
  [2.9, 0.9981341866996161],
  [5, 0.9999997133484281],
])('Φ(%d) is that of the tables', (z, probability) => {
  expect(Math.abs(normalCdf(z) / probability - 1)).toBeLessThan(1e-10);
});

it('Φ has no seam where the series gives way to the fraction', () => {
  const seam = 3 * Math.SQRT2;
  expect(Math.abs(normalCdf(-seam - 1e-9) / normalCdf(-seam + 1e-9) - 1)).toBeLessThan(1e-7);
});

it('the quantile is its inverse', () => {
  fc.assert(
    fc.property(fc.double({ min: -8, max: 5, noNaN: true }), (z) => {
      expect(normalQuantile(normalCdf(z))).toBeCloseTo(z, 9);
    }),
  );
});
