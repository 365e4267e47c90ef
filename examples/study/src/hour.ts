import { oneSampleEstimator } from '@cm/ect';
import { inverseGap, progressiveSchedule, smoother } from '@cm/schedules';
import { stableTargetEstimator } from '@cm/sct';
import { type Curve, type CurveSettings, curvePlot, curveTable, type Methods, planCurves } from './curves';
import type { Study } from './study';

const methods: Methods = {
  ECT: ({ tuning }) => ({
    estimator: oneSampleEstimator(),
    schedule: progressiveSchedule(tuning.schedule),
    weighting: inverseGap(),
  }),
  'SCT, references in the batch': ({ tuning: { schedule, delta } }) => ({
    estimator: stableTargetEstimator({ references: 'batch' }),
    schedule: progressiveSchedule(smoother(schedule)),
    weighting: inverseGap({ delta }),
  }),
};

/** The methods whole, as their recipes are, at the size of an hour of a CPU: eight stages, to a gap of t/256. */
export const hour: Study<CurveSettings, Curve> = {
  name: 'hour-cifar10',
  title: 'ECT and SCT of CIFAR-10 at 16 × 16 in an hour of a CPU: the whole schedule, to a gap of t/256',
  settings: {
    full: { images: 50_000, steps: 1200, evaluateEvery: 150, seeds: 1, samples: 1000 },
    quick: { images: 50_000, steps: 40, evaluateEvery: 20, seeds: 1, samples: 300 },
  },
  plan: (settings) => planCurves(settings, methods),
  table: curveTable,
  plot: curvePlot,
};
