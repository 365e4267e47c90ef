import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  curriculumDecay,
  exponentialCurriculum,
  geometricCurriculum,
  gridSchedule,
  karrasGrid,
  karrasNoiseLevels,
  logNormalNoiseLevels,
  phaseGrid,
  squareRootCurriculum,
} from '../src/index';

/** Standard-normal quantiles by rational approximation (Abramowitz and Stegun 26.2.23), good to 5e-4: a test of their own. */
const quantile = (p: number): number => {
  if (p > 0.5) return -quantile(1 - p);
  const s = Math.sqrt(-2 * Math.log(p));
  return -(
    s -
    (2.515517 + 0.802853 * s + 0.010328 * s * s) / (1 + 1.432788 * s + 0.189269 * s * s + 0.001308 * s ** 3)
  );
};
const count = 20_000;
const normals = Array.from({ length: count }, (_, i) => quantile((i + 0.5) / count));

/** Simpson's rule over the density, for Φ(b) − Φ(a). */
const normalMass = (a: number, b: number, parts = 2000) => {
  const density = (z: number) => Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
  const h = (b - a) / parts;
  let sum = density(a) + density(b);
  for (let i = 1; i < parts; i++) sum += (i % 2 ? 4 : 2) * density(a + i * h);
  return (sum * h) / 3;
};

describe('the grid schedule', () => {
  it('gives the ends of the interval that holds t, which are neighbours of the Karras grid', () => {
    const levels = karrasGrid({ steps: 18 }).slice(0, -1).reverse();
    const schedule = gridSchedule({ levels: () => 18 });
    fc.assert(
      fc.property(fc.double({ min: 0.00201, max: 79.9, noNaN: true }), (level) => {
        const { t, r, gap, ratio, edge } = schedule(level, 0);
        const upper = levels.findIndex((other) => other >= level);
        expect(t).toBeCloseTo(levels[upper]!, 12);
        expect(r).toBeCloseTo(levels[upper - 1]!, 12);
        expect([gap, ratio, edge]).toEqual([t - r, r / t, 0]);
        // An end of an interval belongs to it: what has been rounded stays.
        expect(schedule(t, 0)).toEqual({ t, r, gap, ratio, edge });
      }),
    );
  });

  it('takes levels outside its grid to the first and last interval', () => {
    const schedule = gridSchedule({ levels: () => 5 });
    expect(schedule(1e-5, 0).r).toBe(0.002);
    expect(schedule(900, 0).t).toBe(80);
  });

  it('has one interval, the whole path, at two levels', () => {
    expect(gridSchedule({ levels: () => 2 })(1, 0)).toMatchObject({ t: 80, r: 0.002 });
  });

  it('does not let r pass the edge of a phase', () => {
    const phases = phaseGrid([80, 3, 0]);
    const schedule = gridSchedule({ levels: () => 10, phases });
    for (let level = 0.003; level < 80; level *= 1.1) {
      const { t, r, edge, ratio, gap } = schedule(level, 0);
      expect(edge).toBe(t > 3 ? 3 : 0);
      expect(r).toBeGreaterThanOrEqual(edge);
      expect(gap).toBeCloseTo((1 - ratio) * (t - edge), 12);
    }
  });

  it('with levels uniform in the ρ-th root draws every interval equally often (CT, CD)', () => {
    const schedule = gridSchedule({ levels: () => 11 });
    const drawn = new Map<number, number>();
    for (const level of karrasNoiseLevels(normals)) {
      const { t } = schedule(level, 0);
      drawn.set(t, (drawn.get(t) ?? 0) + 1);
    }
    expect(drawn.size).toBe(10);
    for (const times of drawn.values()) expect(Math.abs(times / count - 0.1)).toBeLessThan(1e-3);
  });

  it('with log-normal levels within the grid draws intervals as iCT’s discretised log-normal', () => {
    const [mean, std] = [-1.1, 2];
    const schedule = gridSchedule({ levels: () => 11 });
    const drawn = new Map<number, number>();
    for (const level of logNormalNoiseLevels(normals, { mean, std, min: 0.002, max: 80 })) {
      const { r } = schedule(level, 0);
      drawn.set(r, (drawn.get(r) ?? 0) + 1);
    }
    const ends = karrasGrid({ steps: 11 })
      .slice(0, -1)
      .reverse()
      .map((level) => (Math.log(level) - mean) / std);
    const masses = ends.slice(1).map((end, i) => normalMass(ends[i]!, end));
    const total = masses.reduce((sum, mass) => sum + mass, 0);
    const levels = [...drawn.keys()].sort((a, b) => a - b);
    expect(levels).toHaveLength(10);
    masses.forEach((mass, i) => {
      expect(Math.abs(drawn.get(levels[i]!)! / count - mass / total)).toBeLessThan(1e-3);
    });
  });

  it('refuses what is no grid', () => {
    expect(() => gridSchedule({ levels: () => 4, sigmaMax: 0.001 })).toThrow(
      'gridSchedule: sigmaMax is 0.001, expected above sigmaMin',
    );
    expect(() => gridSchedule({ levels: () => 1 })(1, 7)).toThrow(
      'gridSchedule: N(7) is 1, expected a whole number, at least 2',
    );
    expect(() => gridSchedule({ levels: () => 4 })(0, 0)).toThrow('gridSchedule: t is 0');
  });
});

describe('truncated log-normal levels', () => {
  it('are the plain ones where nothing is cut off, and keep to their ends elsewhere', () => {
    const plain = logNormalNoiseLevels(normals, { mean: 0, std: 1 });
    const wide = logNormalNoiseLevels(normals, { mean: 0, std: 1, min: 1e-30, max: 1e30 });
    plain.forEach((level, i) => {
      expect(Math.abs(wide[i]! / level - 1)).toBeLessThan(1e-6);
    });
    const cut = logNormalNoiseLevels(normals, { mean: 0, std: 1, min: 0.5, max: 2 });
    expect(Math.min(...cut)).toBeGreaterThanOrEqual(0.5);
    expect(Math.max(...cut)).toBeLessThanOrEqual(2);
    // Symmetric ends leave the median.
    expect(logNormalNoiseLevels([0], { mean: 0, std: 1, min: 0.5, max: 2 })[0]).toBeCloseTo(1, 6);
  });

  it('refuse ends with nothing between them', () => {
    expect(() => logNormalNoiseLevels([0], { mean: 0, std: 1, min: 2, max: 1 })).toThrow(
      'max is 1, expected above min, 2',
    );
    expect(() => logNormalNoiseLevels([0], { mean: 0, std: 0.1, min: 50, max: 60 })).toThrow('expected above 1e-9');
  });
});

describe('a curriculum', () => {
  it('of consistency training grows as a square root, from s_0 levels to s_1 + 1', () => {
    const levels = squareRootCurriculum({ s0: 2, s1: 150, iterations: 800_000 });
    expect([0, 800_000, 900_000].map(levels)).toEqual([2, 151, 151]);
    // √(0.25·(151² − 4) + 4) = 75.52…
    expect(levels(200_000)).toBe(76);
  });

  it('of improved consistency training doubles eight times in all', () => {
    const levels = exponentialCurriculum({ s0: 10, s1: 1280, iterations: 400_000 });
    expect([0, 49_999, 50_000, 100_000, 349_999, 350_000, 399_999].map(levels)).toEqual([
      11, 11, 21, 41, 641, 1281, 1281,
    ]);
  });

  it('of multistep consistency models grows by one factor, then stays', () => {
    const levels = geometricCurriculum({ s0: 64, s1: 1280, iterations: 100_000 });
    expect([0, 50_000, 100_000, 200_000].map(levels)).toEqual([65, 287, 1281, 1281]);
  });

  it('never shrinks', () => {
    const options = { s0: 3, s1: 77, iterations: 1000 };
    for (const make of [squareRootCurriculum, exponentialCurriculum, geometricCurriculum]) {
      const levels = Array.from({ length: 1200 }, (_, k) => make(options)(k));
      expect(levels).toEqual([...levels].sort((a, b) => a - b));
    }
  });

  it('slows the target network’s average down: μ(0) = μ_0, and μ^N is constant', () => {
    const levels = squareRootCurriculum({ s0: 2, s1: 150, iterations: 1000 });
    const decay = curriculumDecay(levels, { decay: 0.9, s0: 2 });
    expect(decay(0)).toBeCloseTo(0.9, 12);
    for (const k of [0, 300, 1000]) expect(decay(k) ** levels(k)).toBeCloseTo(0.81, 12);
  });

  it('refuses bad options', () => {
    expect(() => squareRootCurriculum({ s0: 1, s1: 9, iterations: 5 })).toThrow(
      'squareRootCurriculum: s0 is 1, expected',
    );
    expect(() => exponentialCurriculum({ s0: 10, s1: 5, iterations: 5 })).toThrow(
      'exponentialCurriculum: s1 is 5, expected',
    );
    expect(() => exponentialCurriculum({ s0: 1, s1: 1024, iterations: 5 })).toThrow(
      'expected at least one for each doubling',
    );
    expect(() => geometricCurriculum({ s0: 1, s1: 5, iterations: 5 })(-1)).toThrow('iteration is -1');
    expect(() => curriculumDecay(() => 2, { decay: 1, s0: 2 })).toThrow('curriculumDecay: decay is 1');
  });
});
