import { describe, expect, it } from 'vitest';
import { exponentialGrid, interpolatedGrid, uniformGrid, variancePreservingGrid } from '../src';

describe('noise grids', () => {
  const range = { steps: 5, sigmaMin: 0.01, sigmaMax: 100 };

  it.each([exponentialGrid, uniformGrid, variancePreservingGrid])(
    '%o has its ends exactly, falls, and ends at 0',
    (grid) => {
      const levels = grid(range);
      expect(levels).toHaveLength(6);
      expect([levels[0], levels[4], levels[5]]).toEqual([100, 0.01, 0]);
      for (let i = 1; i < 6; i++) expect(levels[i]).toBeLessThan(levels[i - 1]!);
      expect(grid({ ...range, steps: 1 })).toEqual([100, 0]);
      expect(() => grid({ ...range, sigmaMin: 200 })).toThrow('sigmaMin is 200, expected below sigmaMax, 100');
      expect(() => grid({ ...range, steps: 1.5 })).toThrow('steps is 1.5');
    },
  );

  it('are even in ln σ, in σ, and in the time of the variance-preserving process', () => {
    const gaps = (values: number[]) => values.slice(1).map((v, i) => v - values[i]!);
    const spread = (values: number[]) => Math.max(...values) - Math.min(...values);
    expect(spread(gaps(exponentialGrid(range).slice(0, -1).map(Math.log)))).toBeLessThan(1e-12);
    expect(spread(gaps(uniformGrid(range).slice(0, -1)))).toBeLessThan(1e-12);
    // β_d·τ²/2 + β_min·τ = ln(1 + σ²), solved for τ.
    const time = (sigma: number) => (Math.sqrt(0.01 + 2 * 19.9 * Math.log1p(sigma ** 2)) - 0.1) / 19.9;
    expect(spread(gaps(variancePreservingGrid(range).slice(0, -1).map(time)))).toBeLessThan(1e-12);
  });

  it('take a given list to other numbers of steps, linearly in its logarithms', () => {
    const given = [16, 4, 2, 0];
    expect(interpolatedGrid(given, 3)).toEqual(given);
    const five = interpolatedGrid(given, 5);
    expect([five[0], five[2], five[4], five[5]]).toEqual([16, 4, 2, 0]);
    expect(five[1]).toBeCloseTo(8, 12);
    expect(five[3]).toBeCloseTo(Math.sqrt(8), 12);
    expect(interpolatedGrid([16, 4], 2)[1]).toBeCloseTo(8, 12);
    expect(() => interpolatedGrid([16, 0], 3)).toThrow('at least two levels above 0');
  });
});
