import { oneSampleEstimator } from '@cm/ect';
import { fixedGapSchedule, inverseGap } from '@cm/schedules';
import { stableTargetEstimator } from '@cm/sct';
import { type Curve, type CurveSettings, curvePlot, curveTable, type Methods, planCurves } from './curves';
import type { Study } from './study';

const fixedAt = (learningRate = 1): Methods => {
  const fixed = { schedule: fixedGapSchedule(), weighting: inverseGap(), learningRate };
  return {
    'one sample (ECT)': () => ({ ...fixed, estimator: oneSampleEstimator() }),
    'references in the batch (SCT)': () => ({ ...fixed, estimator: stableTargetEstimator({ references: 'batch' }) }),
    'all images as references': ({ references }) => ({
      ...fixed,
      estimator: stableTargetEstimator({ references: references() }),
    }),
  };
};

/** Fig. 4 on digits: a fixed gap, so that the methods differ in nothing but their references. */
export const references: Study<CurveSettings, Curve> = {
  name: 'references',
  title: 'Fig. 4 on digits: fixed Δt = t/256; one sample, references in the batch, all images as references',
  settings: {
    full: { images: 60_000, steps: 150, evaluateEvery: 50, seeds: 3, samples: 500 },
    quick: { images: 60_000, steps: 50, evaluateEvery: 25, seeds: 1, samples: 300 },
  },
  plan: (settings) => planCurves(settings, fixedAt()),
  table: curveTable,
  plot: curvePlot,
};

/** The same at a third of the learning rate: with so fine a gap, the noise of the target moves the weights about. */
export const referencesSlow: Study<CurveSettings, Curve> = {
  ...references,
  name: 'references-slow',
  title: `${references.title}; at a third of the learning rate`,
  settings: {
    ...references.settings,
    full: { images: 60_000, steps: 100, evaluateEvery: 50, seeds: 3, samples: 500 },
  },
  plan: (settings) => planCurves(settings, fixedAt(1 / 3)),
};

/** Fig. 4 on what the paper has it on, at 16 × 16 pixels and with a smaller network. */
export const referencesCifar10: Study<CurveSettings, Curve> = {
  ...references,
  name: 'references-cifar10',
  title:
    'Fig. 4 on CIFAR-10 at 16 × 16: fixed Δt = t/256; one sample, references in the batch, all images as references',
  settings: {
    full: { images: 50_000, steps: 200, evaluateEvery: 50, seeds: 3, samples: 500 },
    quick: { images: 50_000, steps: 50, evaluateEvery: 25, seeds: 1, samples: 300 },
  },
};
