import {
  edmWeighting,
  fixedGapSchedule,
  inverseGap,
  type PhaseGrid,
  type ProgressiveOptions,
  phaseGrid,
  progressiveSchedule,
} from '@cm/schedules';
import { type Metric, pseudoHuber } from './metrics';
import type { ConsistencyTargetOptions } from './target';

/** A published training setting, as plain data. */
export interface Recipe {
  readonly name: string;
  /** Where the setting comes from. */
  readonly source: string;
  /** The row of the SCT paper's (arXiv 2410.18958) tables or figures that it is meant to reproduce. */
  readonly reproduces: string;
  readonly network: string;
  /** Probability of dropout, and the largest resolution that has it. */
  readonly dropout: { readonly rate: number; readonly maxResolution?: number };
  /** Published checkpoint that it starts from. */
  readonly start: string;
  readonly optimizer: { readonly name: 'radam' | 'adam'; readonly beta1: number; readonly beta2: number };
  readonly learningRate: { readonly lr: number; readonly decaySteps?: number };
  readonly batchSize: number;
  readonly steps: number;
  /** Mean and standard deviation of ln t. */
  readonly noise: { readonly mean: number; readonly std: number };
  /** Options of `progressiveSchedule`, or (t − r)/t where that stays as it is. */
  readonly schedule: Omit<ProgressiveOptions, 'phases'> | { readonly fraction: number };
  /** Number of phases (section 4.3); 1: none. */
  readonly phases: number;
  /** c of the pseudo-Huber metric. */
  readonly c: number;
  readonly weighting:
    | { readonly name: 'inverse-gap'; readonly delta: number }
    | { readonly name: 'edm'; readonly sigmaData: number };
  readonly ema: { readonly decay: number } | { readonly sigmaRel: readonly number[] };
  /** Middle noise level of two-step sampling. */
  readonly middle: number;
  /** FID that the publication reports, by sampling steps. */
  readonly fid: Readonly<Record<number, number>>;
}

/** What a recipe means for `consistencyTarget` and `consistencyLoss`, and the phases that its sampler shares with them. */
export interface Objective extends Pick<ConsistencyTargetOptions, 'schedule' | 'weighting'> {
  readonly metric: Metric;
  readonly phases: PhaseGrid;
}

/**
 * The schedule, weighting and metric that a recipe names.
 *
 * @throws RangeError when one of its numbers is out of range
 */
export function objectiveOf({ schedule, phases: count, weighting, c }: Recipe): Objective {
  const phases = phaseGrid({ phases: count });
  return {
    schedule:
      'fraction' in schedule ? fixedGapSchedule({ ...schedule, phases }) : progressiveSchedule({ ...schedule, phases }),
    weighting: weighting.name === 'edm' ? edmWeighting(weighting) : inverseGap(weighting),
    metric: pseudoHuber({ c }),
    phases,
  };
}

const source = 'Geng et al. 2024 (arXiv 2406.14548)';

const cifar10 = {
  name: 'ect-cifar10',
  source,
  reproduces: 'Table 2, ECT',
  network: 'DDPM++ (EDM), 55.7 M parameters',
  dropout: { rate: 0.2 },
  start: 'edm-cifar10-32x32-uncond-vp',
  optimizer: { name: 'radam', beta1: 0.9, beta2: 0.999 },
  learningRate: { lr: 1e-4 },
  batchSize: 128,
  steps: 200_000,
  noise: { mean: -1.1, std: 2 },
  schedule: { q: 2, d: 25_000, k: 8, b: 1 },
  phases: 1,
  c: 0,
  weighting: { name: 'inverse-gap', delta: 0 },
  ema: { decay: 0.9999 },
  middle: 0.821,
  fid: { 1: 3.78, 2: 2.13 },
} as const satisfies Recipe;

const imagenet64 = (size: 'S' | 'M' | 'XL', snapshot: string, lr: number, fid: Recipe['fid']): Recipe => ({
  name: `ect-imagenet64-${size.toLowerCase()}`,
  source,
  reproduces: `Table 3, ECT-${size}`,
  network: `EDM2-${size}`,
  dropout: { rate: size === 'S' ? 0.4 : 0.5, maxResolution: 16 },
  start: `edm2-img64-${size.toLowerCase()}-${snapshot}`,
  optimizer: { name: 'adam', beta1: 0.9, beta2: 0.99 },
  learningRate: { lr, decaySteps: 2000 },
  batchSize: 128,
  steps: 100_000,
  noise: { mean: -0.8, std: 1.6 },
  schedule: { q: 4, d: 25_000, k: 8, b: 1 },
  phases: 1,
  c: 0.06,
  weighting: { name: 'edm', sigmaData: 0.5 },
  ema: { sigmaRel: [0.05, 0.1] },
  middle: 1.526,
  fid,
});

/** ECT's settings, by name. */
export const ectRecipes = {
  'ect-cifar10': cifar10,
  /** The baseline of the comparison of estimators: Δt = t/256 throughout. */
  'ect-cifar10-fixed': {
    ...cifar10,
    name: 'ect-cifar10-fixed',
    source: 'Wang et al. 2024 (arXiv 2410.18958), section 5.2',
    reproduces: 'Fig. 4, ECT',
    steps: 16_000,
    schedule: { fraction: 1 / 256 },
    fid: { 1: 5.61 },
  },
  'ect-imagenet64-s': imagenet64('S', '1073741-0.075', 1e-3, { 1: 5.51, 2: 3.18 }),
  'ect-imagenet64-m': imagenet64('M', '2147483-0.060', 0.9e-3, { 1: 3.67, 2: 2.35 }),
  'ect-imagenet64-xl': imagenet64('XL', '0671088-0.040', 0.7e-3, { 1: 3.35, 2: 1.96 }),
} as const satisfies Record<string, Recipe>;
