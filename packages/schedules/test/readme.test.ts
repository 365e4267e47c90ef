import { expect, it } from 'vitest';
import { inverseGap, logNormalNoiseLevels, phaseGrid, progressiveSchedule, smoother } from '../src/index';

it("the README's example says what happens", () => {
  const schedule = progressiveSchedule(smoother({ q: 2, d: 25_000 }));
  const weighting = inverseGap({ delta: 1e-3 });

  const [t] = logNormalNoiseLevels([0.5], { mean: -1.1, std: 2.0 });
  expect(t).toBeCloseTo(0.905, 3);
  const early = schedule(t!, 0);
  const late = schedule(t!, 100_000);
  expect(early.r).toBe(0);
  expect(late.gap).toBeCloseTo((early.t * gapAtStart(early.t)) / 16, 6);
  expect(weighting(late)).toBeCloseTo(1 / (late.gap + 1e-3), 9);

  const phases = phaseGrid({ phases: 4 });
  expect(phases.edges.map((edge) => Number(edge.toPrecision(3)))).toEqual([80, 17.5, 2.52, 0.17, 0]);
  const phased = progressiveSchedule({ ...smoother({ q: 2, d: 25_000 }), phases });
  expect(phased(t!, 0).edge).toBeCloseTo(0.17, 3);
  expect(phased(t!, 0).r).toBe(phased(t!, 0).edge);
});

/** n(t)/q before it is cut off at 1. */
const gapAtStart = (t: number) => (1 + 8 / (1 + Math.exp(t))) / 2;
