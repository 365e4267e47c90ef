import { unit } from '@cm/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { featureStatistics, frechetDistance } from '../src/index';
import { fixture, rows, x, y } from './features';

/** A Gaussian from its mean and the rows of its covariance. */
const gaussian = (mean: number[], covariance: number[][]) => ({
  mean: Float64Array.from(mean),
  covariance: Float64Array.from(covariance.flat()),
});

const diagonal = (variances: number[]) => variances.map((v, i) => variances.map((_, j) => (i === j ? v : 0)));

/** Q D Qᵀ for Q = I − 2 n nᵀ / nᵀn, a reflection. */
function reflected(variances: number[], n: number[]): number[][] {
  const squares = n.reduce((sum, v) => sum + v * v, 0);
  const q = n.map((a, i) => n.map((b, j) => (i === j ? 1 : 0) - (2 * a * b) / squares));
  return q.map((row) => q.map((other) => row.reduce((sum, v, k) => sum + v * variances[k]! * other[k]!, 0)));
}

describe('the Fréchet distance', () => {
  it('is the reference’s', () => {
    const distance = frechetDistance(featureStatistics(x), featureStatistics(y));
    expect(Math.abs(distance / fixture.frechet - 1)).toBeLessThan(1e-11);
  });

  it('is the reference’s with fewer images than features, up to the reference’s own rounding', () => {
    const distance = frechetDistance(featureStatistics(rows(x, 0, fixture.dim / 2)), featureStatistics(y));
    expect(Math.abs(distance / fixture.frechet_rank_deficient_first_half_rows - 1)).toBeLessThan(2e-8);
  });

  it('of two numbers is (μ_a − μ_b)² + (σ_a − σ_b)²', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 100, noNaN: true }), { minLength: 4, maxLength: 4 }), (values) => {
        const [m, n, s, t] = values as [number, number, number, number];
        const distance = frechetDistance(gaussian([m], [[s * s]]), gaussian([n], [[t * t]]));
        expect(distance).toBeCloseTo((m - n) ** 2 + (s - t) ** 2, 8);
      }),
    );
  });

  it('of two pairs is the closed form tr(Σ_a Σ_b)^½ = √(tr Σ_a Σ_b + 2 √(det Σ_a det Σ_b))', () => {
    const entry = fc.double({ min: -3, max: 3, noNaN: true });
    const square = fc.tuple(entry, entry, entry, entry).map(([a, b, c, d]) => ({
      covariance: [
        [a * a + b * b, a * c + b * d],
        [a * c + b * d, c * c + d * d],
      ] as [[number, number], [number, number]],
      det: (a * d - b * c) ** 2,
    }));
    fc.assert(
      fc.property(square, square, ({ covariance: p, det: detP }, { covariance: q, det: detQ }) => {
        const trace = p[0][0] * q[0][0] + 2 * p[0][1] * q[0][1] + p[1][1] * q[1][1];
        const root = Math.sqrt(trace + 2 * Math.sqrt(detP * detQ));
        const expected = p[0][0] + p[1][1] + q[0][0] + q[1][1] - 2 * root;
        // √ of a determinant near zero is itself known to half the digits only.
        expect(frechetDistance(gaussian([0, 0], p), gaussian([0, 0], q))).toBeCloseTo(expected, 6);
      }),
      { numRuns: 500 },
    );
  });

  it('of covariances with common axes is that of each axis, at any rank', () => {
    const axes = [3, -1, 2, 0.5];
    const [a, b] = [
      [4, 1, 0, 0],
      [9, 0, 0.25, 0],
    ];
    const distance = frechetDistance(
      gaussian([1, 0, 0, 0], reflected(a!, axes)),
      gaussian([0, 2, 0, 0], reflected(b!, axes)),
    );
    expect(distance).toBeCloseTo(1 + 4 + 1 + 1 + 0.25, 12);
  });

  it('reaches from zero to the trace where a covariance vanishes', () => {
    const [zero, some] = [gaussian([0, 0], diagonal([0, 0])), gaussian([0, 0], diagonal([2, 3]))];
    expect(frechetDistance(zero, zero)).toBe(0);
    expect(frechetDistance(zero, some)).toBe(5);
  });

  it('is symmetric, and zero between a set and itself', () => {
    const [a, b] = [featureStatistics(x), featureStatistics(rows(y, 0, 20))];
    expect(frechetDistance(a, b) / frechetDistance(b, a)).toBeCloseTo(1, 12);
    expect(frechetDistance(a, a)).toBeLessThan(1e-11);
    expect(frechetDistance(b, b)).toBeLessThan(1e-11);
  });

  it('grows with the square of the features’ scale, tiny or huge', () => {
    const [a, b] = [featureStatistics(x), featureStatistics(y)];
    const scaled = (scale: number) =>
      frechetDistance(
        ...([a, b].map(({ mean, covariance }) => ({
          mean: mean.map((v) => v * scale),
          covariance: covariance.map((v) => v * scale * scale),
        })) as [typeof a, typeof b]),
      );
    for (const scale of [1e-30, 1e30]) expect(scaled(scale) / scale ** 2 / fixture.frechet).toBeCloseTo(1, 10);
  });

  it('refuses what it cannot compare', () => {
    const one = gaussian([0], [[1]]);
    expect(() => frechetDistance(one, gaussian([0, 0], diagonal([1, 1])))).toThrow('1 and 2 features');
    expect(() => frechetDistance(one, { mean: Float64Array.of(0), covariance: new Float64Array(2) })).toThrow(
      'a covariance has 2 values, expected [1, 1]',
    );
    expect(() => frechetDistance(one, gaussian([Number.NaN], [[1]]))).toThrow('NaN');
    expect(() => frechetDistance(gaussian([0], [[Number.POSITIVE_INFINITY]]), one)).toThrow('infinite');
  });

  it('of larger random features agrees with its definition where that is known: Σ_b = c² Σ_a', () => {
    const size = 90;
    const a = featureStatistics({ shape: [300, size], values: unit('features', [300, size]) });
    const c = 1.75;
    const b = { mean: a.mean, covariance: a.covariance.map((v) => v * c * c) };
    let trace = 0;
    for (let i = 0; i < size; i++) trace += a.covariance[i * (size + 1)]!;
    expect(frechetDistance(a, b) / ((c - 1) ** 2 * trace)).toBeCloseTo(1, 11);
  });
});
