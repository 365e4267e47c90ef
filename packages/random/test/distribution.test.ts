import { describe, expect, it } from 'vitest';
import { integerArray, key, normalArray, permutation, split, uniformArray } from '../src/index';

// The numbers are fixed by their keys: these statements are either true for good or false for good.
const n = 4_000_000;
const normals = normalArray(key(1), n);

/** Φ(x), the normal distribution function, by a series (|x| < 3) or a continued fraction. */
function phi(x: number): number {
  if (Math.abs(x) < 3) {
    let term = x;
    let sum = x;
    for (let k = 1; k < 60; k++) {
      term *= (x * x) / (2 * k + 1);
      sum += term;
    }
    return 0.5 + (sum * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
  }
  let fraction = 0;
  for (let k = 60; k > 0; k--) fraction = k / (Math.abs(x) + fraction);
  const tail = Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI) / (Math.abs(x) + fraction);
  return x > 0 ? 1 - tail : tail;
}

/** √n times the largest distance of a sample's distribution from the given one; beyond 1.95 in one case of a thousand. */
function kolmogorovSmirnov(sample: Float32Array, distribution: (x: number) => number): number {
  const sorted = sample.slice().sort();
  let distance = 0;
  sorted.forEach((x, i) => {
    const p = distribution(x);
    distance = Math.max(distance, p - i / sorted.length, (i + 1) / sorted.length - p);
  });
  return distance * Math.sqrt(sorted.length);
}

/** Correlation times √n: a standard-normal number when there is none. */
function correlation(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum / Math.sqrt(a.length);
}

describe('normal numbers', () => {
  it('have the moments 0, 1, 0, 3, 0, 15 within four standard errors', () => {
    const sums = [0, 0, 0, 0, 0, 0];
    for (const z of normals) {
      let power = 1;
      for (let k = 0; k < 6; k++) sums[k]! += power *= z;
    }
    const moments = [0, 1, 0, 3, 0, 15];
    const variances = [1, 2, 15, 96, 945, 10_170];
    sums.forEach((sum, k) => {
      expect(Math.abs(sum / n - moments[k]!) / Math.sqrt(variances[k]! / n)).toBeLessThan(4);
    });
  });

  it('follow the normal distribution (Kolmogorov and Smirnov)', () => {
    expect(kolmogorovSmirnov(normals.subarray(0, 500_000), phi)).toBeLessThan(1.95);
    expect(kolmogorovSmirnov(uniformArray(key(1), 500_000), (x) => x)).toBeLessThan(1.95);
  });

  it('reach into the tails as often as they should, to 5.5 and beyond', () => {
    const thresholds = [3, 4, 4.5, 5, 5.25, 5.5];
    const counts = thresholds.map(() => 0);
    const [parts, size] = [1000, 100_000];
    for (let part = 0; part < parts; part++) {
      for (const z of normalArray(split(key(9), 'tails', part), size)) {
        if (z > -3 && z < 3) continue;
        for (let i = 0; i < thresholds.length; i++) if (Math.abs(z) > thresholds[i]!) counts[i]!++;
      }
    }
    thresholds.forEach((threshold, i) => {
      const expected = 2 * parts * size * phi(-threshold);
      expect(Math.abs(counts[i]! - expected) / Math.sqrt(expected)).toBeLessThan(4);
    });
    expect(counts.at(-1)).toBeGreaterThan(0);
  });

  it('are as often large as small', () => {
    for (const threshold of [0, 1, 2, 3, 4]) {
      const above = normals.reduce((count, z) => (z > threshold ? count + 1 : count), 0);
      const below = normals.reduce((count, z) => (z < -threshold ? count + 1 : count), 0);
      expect(Math.abs(above - below) / Math.sqrt(above + below)).toBeLessThan(4);
    }
  });

  it('of a pair are independent, in value and in size', () => {
    const even = normals.filter((_, i) => i % 2 === 0);
    const odd = normals.filter((_, i) => i % 2 === 1);
    expect(Math.abs(correlation(even, odd))).toBeLessThan(4);
    const size = (z: Float32Array) => z.map((x) => (x * x - 1) / Math.SQRT2);
    expect(Math.abs(correlation(size(even), size(odd)))).toBeLessThan(4);
  });

  it('do not correlate with their successors', () => {
    for (const lag of [1, 2, 3, 4, 8, 16, 32, 16_384]) {
      expect(Math.abs(correlation(normals.subarray(0, n - lag), normals.subarray(lag)))).toBeLessThan(4);
    }
  });

  it('of different seeds, paths and distributions are independent', () => {
    const count = 100_000;
    const keys = [
      key(0),
      key(1),
      key(2 ** 32),
      split(key(0), 0),
      split(key(0), 1),
      split(key(0), '0'),
      split(key(0), 'a', 1),
    ];
    const samples = keys.map((k) => normalArray(k, count));
    samples.push(uniformArray(key(0), count).map((u) => (u - 0.5) * Math.sqrt(12)));
    samples.forEach((a, i) => {
      for (const b of samples.slice(i + 1)) expect(Math.abs(correlation(a, b))).toBeLessThan(4);
    });
  });
});

/** (χ² − degrees)/√(2 degrees) of counts that should be equal. */
function unevenness(counts: readonly number[]): number {
  const expected = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  return (chiSquare - (counts.length - 1)) / Math.sqrt(2 * (counts.length - 1));
}

function countsOf(values: ArrayLike<number>, low: number, high: number): number[] {
  const counts = new Array<number>(high - low).fill(0);
  for (let i = 0; i < values.length; i++) counts[values[i]! - low]!++;
  return counts;
}

describe('integers', () => {
  it('are equally frequent', () => {
    expect(unevenness(countsOf(integerArray(key(3), 700_000, { low: -3, high: 4 }), -3, 4))).toBeLessThan(4);
    expect(unevenness(countsOf(integerArray(key(4), 1_000_000, { high: 1000 }), 0, 1000))).toBeLessThan(4);
  });
});

describe('permutations', () => {
  it('put every number in every place equally often', () => {
    const places = Array.from({ length: 60_000 }, (_, i) => permutation(split(key(5), i), 6));
    for (let place = 0; place < 6; place++) {
      expect(
        unevenness(
          countsOf(
            places.map((order) => order[place]!),
            0,
            6,
          ),
        ),
      ).toBeLessThan(4);
    }
    const orders = new Map<string, number>();
    for (const order of places) orders.set(order.join(), (orders.get(order.join()) ?? 0) + 1);
    expect(orders.size).toBe(720);
    expect(unevenness([...orders.values()])).toBeLessThan(4);
  });
});
