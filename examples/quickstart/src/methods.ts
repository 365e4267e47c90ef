import { type Estimator, oneSampleEstimator } from '@cm/ect';
import {
  type ConsistencySchedule,
  inverseGap,
  type ProgressiveOptions,
  progressiveSchedule,
  smoother,
  type Weighting,
} from '@cm/schedules';
import { stableTargetEstimator } from '@cm/sct';
import type { ReferenceSet } from '@cm/stable-target';

/** What distinguishes the methods that are compared: everything else, seeds included, is the same. */
export interface Method {
  readonly title: string;
  schedule(options: ProgressiveOptions): ConsistencySchedule;
  weighting(delta: number): Weighting;
  /** The estimate of E[x_0 given x_t]; `references` is the whole training set. */
  estimator(references: () => ReferenceSet): Estimator;
}

const sct = {
  schedule: (options: ProgressiveOptions) => progressiveSchedule(smoother(options)),
  weighting: (delta: number) => inverseGap({ delta }),
};

export const methods = {
  ect: {
    title: 'ECT',
    schedule: progressiveSchedule,
    weighting: () => inverseGap(),
    estimator: () => oneSampleEstimator(),
  },
  sct: {
    ...sct,
    title: 'SCT',
    estimator: (references) => stableTargetEstimator({ references: references() }),
  },
  'sct-batch': {
    ...sct,
    title: 'SCT, references in the batch',
    estimator: () => stableTargetEstimator({ references: 'batch' }),
  },
} satisfies Record<string, Method>;

export type MethodName = keyof typeof methods;
