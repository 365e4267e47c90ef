import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  edmWeighting,
  inverseGap,
  progressiveSchedule,
  snrWeighting,
  truncatedSnrWeighting,
  uniformWeighting,
} from '../src/index';

const pair = progressiveSchedule({ q: 2, d: 100 })(5, 0);
const level = fc.double({ min: 0.002, max: 80, noNaN: true });

describe('weightings', () => {
  it('inverseGap is 1/(t − r + δ)', () => {
    expect(inverseGap()(pair)).toBeCloseTo(1 / (pair.t - pair.r), 12);
    expect(inverseGap({ delta: 0.5 })(pair)).toBeCloseTo(1 / (pair.t - pair.r + 0.5), 12);
  });

  it('inverseGap never exceeds 1/δ', () => {
    const schedule = progressiveSchedule({ q: 2, d: 1 });
    fc.assert(fc.property(level, (t) => inverseGap({ delta: 0.01 })(schedule(t, 40)) <= 100));
  });

  it('edmWeighting is (t² + σ_d²)/(t σ_d)²', () => {
    const schedule = progressiveSchedule({ q: 2, d: 100 });
    fc.assert(
      fc.property(level, (t) => {
        const expected = (t * t + 0.25) / (t * 0.5) ** 2;
        expect(edmWeighting()(schedule(t, 0)) / expected).toBeCloseTo(1, 12);
      }),
    );
  });

  it('snrWeighting is 1/t² and more; with 1/σ_d² it is edmWeighting', () => {
    expect(snrWeighting()(pair)).toBeCloseTo(0.04, 12);
    expect(snrWeighting({ offset: 1 })(pair)).toBeCloseTo(1.04, 12);
    expect(snrWeighting({ offset: 4 })(pair)).toBeCloseTo(edmWeighting()(pair), 12);
  });

  it('truncatedSnrWeighting is 1/t² up to t = 1, and 1 above', () => {
    expect(truncatedSnrWeighting({ ...pair, t: 0.5 })).toBe(4);
    expect(truncatedSnrWeighting(pair)).toBe(1);
  });

  it('uniformWeighting is 1', () => {
    expect(uniformWeighting(pair)).toBe(1);
  });

  it('refuse bad options', () => {
    expect(() => inverseGap({ delta: -1 })).toThrow('inverseGap: delta is -1, expected a finite number, 0 or more');
    expect(() => snrWeighting({ offset: -1 })).toThrow('snrWeighting: offset is -1, expected');
    expect(() => edmWeighting({ sigmaData: 0 })).toThrow(
      'edmWeighting: sigmaData is 0, expected a finite number above 0',
    );
  });
});
