import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { karrasGrid, logNormalNoiseLevels } from '../src/index';

describe('the Karras grid', () => {
  it('is the known grid of 5 levels', () => {
    const expected = [80, 17.5278, 2.5152, 0.1698, 0.002, 0];
    karrasGrid({ steps: 5 }).forEach((sigma, i) => {
      expect(sigma).toBeCloseTo(expected[i]!, 4);
    });
  });

  it('descends from sigmaMax over sigmaMin to 0', () => {
    const options = fc.record({
      steps: fc.integer({ min: 2, max: 100 }),
      sigmaMin: fc.double({ min: 1e-3, max: 0.5, noNaN: true }),
      sigmaMax: fc.double({ min: 1, max: 200, noNaN: true }),
      rho: fc.double({ min: 1, max: 12, noNaN: true }),
    });
    fc.assert(
      fc.property(options, (o) => {
        const grid = karrasGrid(o);
        expect(grid).toHaveLength(o.steps + 1);
        expect([grid[0], grid.at(-2), grid.at(-1)]).toEqual([o.sigmaMax, o.sigmaMin, 0]);
        grid.slice(1).forEach((sigma, i) => {
          expect(sigma).toBeLessThan(grid[i]!);
        });
      }),
    );
  });

  it('is even in sigma for rho = 1', () => {
    expect(karrasGrid({ steps: 4, sigmaMin: 1, sigmaMax: 4, rho: 1 })).toEqual([4, 3, 2, 1, 0]);
  });

  it('with one step goes from sigmaMax to 0', () => {
    expect(karrasGrid({ steps: 1 })).toEqual([80, 0]);
  });

  it.each([
    [() => karrasGrid({ steps: 0 }), 'karrasGrid: steps is 0, expected a whole number, at least 1'],
    [() => karrasGrid({ steps: 2, sigmaMin: 0 }), 'karrasGrid: sigmaMin is 0, expected a finite number above 0'],
    [
      () => karrasGrid({ steps: 2, sigmaMin: 3, sigmaMax: 2 }),
      'karrasGrid: sigmaMin is 3, expected at most sigmaMax, 2',
    ],
    [() => karrasGrid({ steps: 2, rho: -7 }), 'karrasGrid: rho is -7, expected'],
  ])('refuses bad options (%#)', (call, message) => {
    expect(call).toThrow(message);
  });
});

describe('log-normal noise levels', () => {
  it('are exp(mean + std z)', () => {
    const levels = logNormalNoiseLevels([-2, 0, 1], { mean: -1.1, std: 2 });
    expect([...levels]).toEqual([-5.1, -1.1, 0.9].map((x) => Math.fround(Math.exp(x))));
  });

  it('refuse what would become NaN, zero or infinite', () => {
    expect(() => logNormalNoiseLevels([Number.NaN], { mean: 0, std: 1 })).toThrow(
      'logNormalNoiseLevels: normals[0] is NaN, expected a finite number',
    );
    expect(() => logNormalNoiseLevels([0], { mean: 0, std: -1 })).toThrow('logNormalNoiseLevels: std is -1, expected');
    expect(() => logNormalNoiseLevels([100], { mean: 0, std: 1 })).toThrow('is Infinity, expected');
    expect(() => logNormalNoiseLevels([-200], { mean: 0, std: 1 })).toThrow('is 0, expected');
  });
});
