import { distillationEstimator, oneSampleEstimator } from '@cm/ect';
import { inverseGap, progressiveSchedule, smoother } from '@cm/schedules';
import { stableTargetEstimator } from '@cm/sct';
import { tuning } from '../../quickstart/src/settings';
import { type Curve, type CurveSettings, curvePlot, curveTable, type Methods, planCurves } from './curves';
import type { Study } from './study';

const same = {
  schedule: progressiveSchedule(smoother(tuning.schedule)),
  weighting: inverseGap({ delta: tuning.delta }),
};

const methods: Methods = {
  'CD, one Euler step': async ({ diffusion }) => ({ ...same, estimator: distillationEstimator(await diffusion()) }),
  'CD, two Heun steps': async ({ diffusion }) => ({
    ...same,
    estimator: distillationEstimator(await diffusion(), { solver: 'heun', steps: 2 }),
  }),
  'CT, one sample': () => ({ ...same, estimator: oneSampleEstimator() }),
  'SCT, references in the batch': () => ({ ...same, estimator: stableTargetEstimator({ references: 'batch' }) }),
  'SCT, all images as references': ({ references }) => ({
    ...same,
    estimator: stableTargetEstimator({ references: references() }),
  }),
};

/** Distillation of the pretrained network against training from the data, from the same start, with the same schedule. */
export const estimators: Study<CurveSettings, Curve> = {
  name: 'estimators',
  title: 'distillation (CD), one sample (CT) and stable target (SCT) from the same network, all else the same',
  settings: {
    full: { images: 60_000, steps: 150, evaluateEvery: 50, seeds: 2, samples: 500 },
    quick: { images: 60_000, steps: 50, evaluateEvery: 25, seeds: 1, samples: 300 },
  },
  plan: (settings) => planCurves(settings, methods),
  table: curveTable,
  plot: curvePlot,
};
