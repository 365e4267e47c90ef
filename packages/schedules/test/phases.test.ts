import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { karrasGrid, phaseGrid } from '../src/index';

describe('a phase grid', () => {
  it('puts an edge itself into the phase below it', () => {
    const { edgeBelow } = phaseGrid([80, 10, 1, 0]);
    expect([80, 10.001, 10, 1.001, 1, 1e-6].map(edgeBelow)).toEqual([10, 10, 1, 1, 0, 0]);
  });

  it('counts noise above t_max to the first phase', () => {
    expect(phaseGrid([80, 10, 0]).edgeBelow(500)).toBe(10);
  });

  it('finds the largest edge below t', () => {
    const inner = fc.uniqueArray(fc.double({ min: 0.01, max: 70, noNaN: true }), { maxLength: 8 });
    fc.assert(
      fc.property(inner, fc.double({ min: 1e-3, max: 80, noNaN: true }), (levels, t) => {
        const edges = [80, ...levels.sort((a, b) => b - a), 0];
        expect(phaseGrid(edges).edgeBelow(t)).toBe(Math.max(...edges.filter((edge) => edge < t)));
      }),
    );
  });

  it('by formula spans equally many steps of a Karras grid in every phase', () => {
    const fine = karrasGrid({ steps: 13 });
    const { edges } = phaseGrid({ phases: 4 });
    expect(edges).toHaveLength(5);
    expect(edges[4]).toBe(0);
    [0, 3, 6, 9].forEach((step, i) => {
      expect(edges[i]).toBeCloseTo(fine[step]!, 10);
    });
  });

  it('has one phase as [t_max, 0]', () => {
    expect(phaseGrid({ phases: 1, sigmaMax: 10 }).edges).toEqual([10, 0]);
  });

  it('does not change when the array it was made from does', () => {
    const edges = [80, 1, 0];
    const grid = phaseGrid(edges);
    edges[1] = 5;
    expect(grid.edgeBelow(4)).toBe(1);
  });

  it.each([
    [() => phaseGrid([0]), 'phaseGrid: edges has 1 entries, expected t_max, …, 0'],
    [() => phaseGrid([80, 1]), 'phaseGrid: the last edge is 1, expected 0'],
    [() => phaseGrid([80, 80, 0]), 'phaseGrid: edges[1] is 80, expected below edges[0], 80'],
    [() => phaseGrid([Number.POSITIVE_INFINITY, 0]), 'phaseGrid: edges[0] is Infinity, expected'],
    [() => phaseGrid({ phases: 1.5 }), 'phaseGrid: phases is 1.5, expected a whole number, at least 1'],
    [() => phaseGrid({ phases: 2, sigmaMin: 90 }), 'phaseGrid: sigmaMin is 90, expected at most sigmaMax, 80'],
    [() => phaseGrid([80, 0]).edgeBelow(0), 'edgeBelow: t is 0, expected a finite number above 0'],
  ])('refuses bad edges (%#)', (call, message) => {
    expect(call).toThrow(message);
  });
});
