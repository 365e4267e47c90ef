import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fixedGapSchedule, gapFactor, inverseGap, phaseGrid, progressiveSchedule, smoother } from '../src/index';

const level = fc.double({ min: 1e-4, max: 1e3, noNaN: true });
const iteration = fc.integer({ min: 0, max: 20_000 });
const options = fc.record({
  q: fc.double({ min: 1.05, max: 8, noNaN: true }),
  d: fc.double({ min: 2_000, max: 50_000, noNaN: true }),
  k: fc.double({ min: 0, max: 20, noNaN: true }),
  b: fc.double({ min: 0, max: 5, noNaN: true }),
  initialExponent: fc.integer({ min: 0, max: 3 }),
});
const edges = fc
  .uniqueArray(fc.double({ min: 1e-3, max: 100, noNaN: true }), { minLength: 1, maxLength: 6 })
  .map((inner) => [...inner.sort((a, b) => b - a), 0]);

describe('a consistency schedule', () => {
  it('puts r between the edge and t, with a gap and ratio that say the same', () => {
    fc.assert(
      fc.property(options, edges, level, iteration, (o, e, t, i) => {
        const pair = progressiveSchedule({ ...o, phases: phaseGrid(e) })(t, i);
        expect(pair.edge).toBeLessThanOrEqual(pair.r);
        expect(pair.r).toBeLessThan(t);
        expect(pair.ratio).toBeGreaterThanOrEqual(0);
        expect(pair.ratio).toBeLessThan(1);
        expect(Math.abs(pair.r + pair.gap - t)).toBeLessThanOrEqual(1e-12 * t);
        expect(Math.abs(pair.gap - (1 - pair.ratio) * (t - pair.edge))).toBeLessThanOrEqual(1e-12 * t);
      }),
    );
  });

  it('never widens its gap as training goes on', () => {
    fc.assert(
      fc.property(options, level, iteration, iteration, (o, t, i, j) => {
        const schedule = progressiveSchedule(o);
        expect(schedule(t, Math.max(i, j)).gap).toBeLessThanOrEqual(schedule(t, Math.min(i, j)).gap);
      }),
    );
  });

  it('with one phase is the unphased one', () => {
    fc.assert(
      fc.property(options, level, iteration, (o, t, i) => {
        expect(progressiveSchedule({ ...o, phases: phaseGrid([80, 0]) })(t, i)).toEqual(progressiveSchedule(o)(t, i));
      }),
    );
  });

  it('starts at exponent 1: with q 2 every row above t = 2.1 has a teacher, and no row below', () => {
    const schedule = progressiveSchedule({ q: 2, d: 25_000 });
    expect(schedule(1.9, 24_999).r).toBe(0);
    expect(schedule(2.1, 0).r).toBeGreaterThan(0);
    expect(schedule(1.9, 25_000).r).toBeGreaterThan(0);
  });

  it('keeps the gap exact where t and r nearly agree', () => {
    const pair = progressiveSchedule({ q: 2, d: 1, k: 0 })(1, 49);
    expect(pair.gap).toBe(2 ** -50);
    expect(inverseGap()(pair)).toBe(2 ** 50);
  });

  it('refuses a stage at which nothing of the gap is left', () => {
    expect(() => progressiveSchedule({ q: 2, d: 1 })(1, 2000)).toThrow(
      'progressiveSchedule: the gap at t = 1 is 0, expected above 0',
    );
  });
});

describe('the smoother schedule', () => {
  it('meets the original one at the end of each of its stages', () => {
    fc.assert(
      fc.property(options, fc.constantFrom(2, 3, 4, 7), fc.integer({ min: 0, max: 5 }), level, (o, m, stage, t) => {
        const d = Math.round(o.d);
        const original = progressiveSchedule({ ...o, d })(t, stage * d).gap;
        const smooth = progressiveSchedule(smoother({ ...o, d }, m))(t, stage * d).gap;
        expect(Math.abs(smooth / original - 1)).toBeLessThan(1e-9);
      }),
    );
  });

  it('shrinks in m steps between two of them', () => {
    const schedule = progressiveSchedule(smoother({ q: 2, d: 100 }));
    const gaps = [0, 25, 50, 75, 100].map((i) => schedule(80, i).gap / 80);
    gaps.forEach((gap, i) => {
      expect(gap).toBeCloseTo(2 ** (-1 - i / 4), 12);
    });
  });

  it('keeps the other options', () => {
    const phases = phaseGrid([80, 1, 0]);
    expect(smoother({ q: 16, d: 8, k: 3, b: 2, phases }, 2)).toEqual({
      q: 4,
      d: 4,
      k: 3,
      b: 2,
      initialExponent: 2,
      phases,
    });
  });
});

describe('the fixed-gap schedule', () => {
  it('has Δt = t/256 at every iteration', () => {
    expect(fixedGapSchedule()(80, 0)).toEqual({ t: 80, r: 79.6875, ratio: 255 / 256, gap: 0.3125, edge: 0 });
    expect(fixedGapSchedule()(80, 1e6)).toEqual(fixedGapSchedule()(80, 0));
  });

  it('stays within its phase', () => {
    expect(fixedGapSchedule({ fraction: 0.5, phases: phaseGrid([80, 10, 0]) })(30, 0).r).toBe(20);
  });
});

describe('n(t)', () => {
  it('falls from 1 + k/2 to 1', () => {
    expect(gapFactor(0)).toBe(5);
    expect(gapFactor(1e6)).toBe(1);
    fc.assert(fc.property(level, level, (s, t) => (s < t ? gapFactor(s) >= gapFactor(t) : true)));
  });
});

describe('schedule options', () => {
  it.each([
    [() => progressiveSchedule({ q: 1, d: 10 }), 'progressiveSchedule: q is 1, expected a finite number above 1'],
    [() => progressiveSchedule({ q: 2, d: 0 }), 'progressiveSchedule: d is 0, expected above 0'],
    [() => progressiveSchedule({ q: 2, d: 1, k: -1 }), 'progressiveSchedule: k is -1, expected'],
    [() => progressiveSchedule({ q: 2, d: 1, b: Number.NaN }), 'progressiveSchedule: b is NaN, expected'],
    [() => progressiveSchedule({ q: 2, d: 1 })(0, 0), 'progressiveSchedule: t is 0, expected a finite number above 0'],
    [() => progressiveSchedule({ q: 2, d: 1 })(1, -1), 'progressiveSchedule: iteration is -1, expected'],
    [() => fixedGapSchedule({ fraction: 2 }), 'fixedGapSchedule: fraction is 2, expected above 0 and at most 1'],
    [() => smoother({ q: 2, d: 1 }, 0), 'smoother: m is 0, expected a finite number, 1 or more'],
    [() => gapFactor(-1), 'gapFactor: t is -1, expected'],
  ])('are refused with the argument, the expectation and the value (%#)', (call, message) => {
    expect(call).toThrow(message);
  });
});
