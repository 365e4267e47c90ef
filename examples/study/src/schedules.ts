import { oneSampleEstimator } from '@cm/ect';
import { inverseGap, progressiveSchedule, smoother } from '@cm/schedules';
import { stableTargetEstimator } from '@cm/sct';
import { tuning } from '../../quickstart/src/settings';
import { type Curve, type CurveSettings, curvePlot, curveTable, type Methods, planCurves } from './curves';
import type { Study } from './study';

const ect = tuning.schedule;
const estimator = stableTargetEstimator({ references: 'batch' });
const shrinking = (m: number, delta: number = tuning.delta) => ({
  estimator,
  schedule: progressiveSchedule(smoother(ect, m)),
  weighting: inverseGap({ delta }),
});

const methods: Methods = {
  'ECT: one sample, q 2, d 75, δ 0': () => ({
    estimator: oneSampleEstimator(),
    schedule: progressiveSchedule(ect),
    weighting: inverseGap(),
  }),
  'batch, q 2, d 75 (m = 1)': () => shrinking(1),
  // Smaller steps begin sooner: m > 1 is, in the mean over time, nearly half a stage ahead of m = 1. This is as far ahead in large ones.
  'batch, m = 1, half a stage ahead': () => ({
    ...shrinking(1),
    schedule: progressiveSchedule({ ...ect, initialExponent: 1.5 }),
  }),
  'batch, m = 2': () => shrinking(2),
  'batch, m = 4': () => shrinking(4),
  'batch, m = 16': () => shrinking(16),
  'batch, m = 4, δ 0': () => shrinking(4, 0),
  'batch, m = 4, δ 0.1': () => shrinking(4, 0.1),
};

/** Fig. 3: ECT's schedule and smoother ones of the same overall rate; δ of the weighting. */
export const schedules: Study<CurveSettings, Curve> = {
  name: 'schedules',
  title: 'Fig. 3: how smoothly the gap shrinks, q and d against q^(1/m) and d/m, and δ of the weighting',
  settings: {
    full: { images: 60_000, steps: 150, evaluateEvery: 50, seeds: 2, samples: 500 },
    quick: { images: 60_000, steps: 50, evaluateEvery: 25, seeds: 1, samples: 300 },
  },
  plan: (settings) => planCurves(settings, methods),
  table: curveTable,
  plot: curvePlot,
};
