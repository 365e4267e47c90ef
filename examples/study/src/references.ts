import { oneSampleEstimator } from '@cm/ect';
import { fixedGapSchedule, inverseGap } from '@cm/schedules';
import { stableTargetEstimator } from '@cm/sct';
import { type Curve, type CurveSettings, curvePlot, curveTable, type Methods, planCurves } from './curves';
import type { Study } from './study';

const fixed = { schedule: fixedGapSchedule(), weighting: inverseGap() };

const methods: Methods = {
  'one sample (ECT)': () => ({ ...fixed, estimator: oneSampleEstimator() }),
  'references in the batch (SCT)': () => ({ ...fixed, estimator: stableTargetEstimator({ references: 'batch' }) }),
  'all images as references': ({ references }) => ({
    ...fixed,
    estimator: stableTargetEstimator({ references: references() }),
  }),
};

/** Fig. 4 on digits: a fixed gap, so that the methods differ in nothing but their references. */
export const references: Study<CurveSettings, Curve> = {
  name: 'references',
  title: 'Fig. 4 on digits: fixed Δt = t/256; one sample, references in the batch, all images as references',
  settings: {
    full: { images: 60_000, steps: 150, evaluateEvery: 50, seeds: 3, samples: 500 },
    quick: { images: 60_000, steps: 50, evaluateEvery: 25, seeds: 1, samples: 300 },
  },
  plan: (settings) => planCurves(settings, methods),
  table: curveTable,
  plot: curvePlot,
};
