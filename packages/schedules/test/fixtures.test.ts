import { readJsonFixture } from '@cm/testing';
import { describe, expect, it } from 'vitest';
import { phaseGrid, progressiveSchedule } from '../src/index';

interface Stage {
  q: number;
  k: number;
  b: number;
  exponent: number;
  t: number[];
  r: number[];
}
const { progressive, phased } = readJsonFixture<{
  progressive: Stage[];
  phased: (Stage & { edges: number[]; s: number[] })[];
}>(new URL('fixtures/schedules.json', import.meta.url));

const period = 1000;

describe('the progressive schedule', () => {
  it.each(progressive)('follows Eq. 15 at q $q, k $k, b $b, exponent $exponent', ({ q, k, b, exponent, t, r }) => {
    const schedule = progressiveSchedule({ q, d: period, k, b, initialExponent: 0 });
    t.forEach((level, i) => {
      const pair = schedule(level, exponent * period + 17);
      expect(pair.r).toBeCloseTo(r[i]!, 12);
      expect(pair.gap).toBeCloseTo(level - r[i]!, 12);
      expect(pair.ratio).toBeCloseTo(r[i]! / level, 12);
      expect(pair.edge).toBe(0);
    });
  });

  it.each(phased)('follows Eq. 17 between the edges $edges at exponent $exponent', (stage) => {
    const { q, k, b, exponent, t, r, s, edges } = stage;
    const schedule = progressiveSchedule({ q, d: period, k, b, initialExponent: exponent, phases: phaseGrid(edges) });
    t.forEach((level, i) => {
      const pair = schedule(level, 17);
      expect(pair.edge).toBe(s[i]);
      expect(pair.r).toBeCloseTo(r[i]!, 12);
      expect(pair.gap).toBeCloseTo(level - r[i]!, 12);
    });
  });
});
