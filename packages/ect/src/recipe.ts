import type { CurriculumOptions, LogNormalOptions, ProgressiveOptions } from '@cm/schedules';
import type { Solver } from './distillation';

/** Where an estimate of E[x_0 | x_t] comes from. */
export type EstimatorSetting =
  | { readonly name: 'one-sample' }
  | { readonly name: 'distillation'; readonly solver: Solver; readonly steps: number }
  /** The posterior mean of `@cm/sct`: over the batch or all training images, of the row's class alone where it says so. */
  | { readonly name: 'stable-target'; readonly references: 'batch' | 'batch-of-class' | 'all' | 'all-of-class' };

/** How fine a discrete schedule's grid is as training goes on: `levels` throughout, or intervals that grow from s_0 to s_1. */
export type CurriculumSetting =
  | { readonly name: 'constant'; readonly levels: number }
  | ({ readonly name: 'square-root' | 'exponential' | 'geometric' } & CurriculumOptions);

/** Options of `progressiveSchedule`, (t − r)/t where that stays as it is, or the grid of a discrete schedule. */
export type ScheduleSetting =
  | Omit<ProgressiveOptions, 'phases'>
  | { readonly fraction: number }
  | { readonly curriculum: CurriculumSetting };

/** How noise levels are drawn: log-normally, or uniformly in σ^(1/7). */
export type NoiseSetting = LogNormalOptions | { readonly rho: number };

/** The metric between student and target. */
export type MetricSetting =
  | { readonly name: 'pseudo-huber'; readonly c: number }
  | { readonly name: 'l1' | 'l2' | 'squared-l2' }
  /** `perceptual`, of a network that is not part of this library. */
  | { readonly name: 'perceptual'; readonly network: string };

/** How rows are weighted. */
export type WeightingSetting =
  | { readonly name: 'uniform' | 'truncated-snr' }
  | { readonly name: 'inverse-gap'; readonly delta: number }
  | { readonly name: 'snr'; readonly offset: number }
  | { readonly name: 'edm'; readonly sigmaData: number };

/** The network that the target comes from: the student, its average at a constant decay, or at CT's decay μ(k) that goes with the curriculum. */
export type TargetSetting =
  | { readonly name: 'student' }
  | { readonly name: 'average'; readonly decay: number }
  | { readonly name: 'curriculum-average'; readonly decay: number };

/** A published training setting, as plain data: it survives JSON. */
export interface Recipe {
  readonly name: string;
  /** Where the setting comes from. */
  readonly source: string;
  /** The row of the SCT paper's (arXiv 2410.18958) tables or figures that it is meant to reproduce. */
  readonly reproduces: string;
  /** What the publication does not print, or does with means that this library does not have. */
  readonly notes?: string;
  readonly network: string;
  /** Probability of dropout, and the largest resolution that has it. */
  readonly dropout: { readonly rate: number; readonly maxResolution?: number };
  /** Published checkpoint that it starts from; `random` for none. */
  readonly start: string;
  readonly optimizer: { readonly name: 'radam' | 'adam'; readonly beta1: number; readonly beta2: number };
  readonly learningRate: { readonly lr: number; readonly decaySteps?: number; readonly warmupSteps?: number };
  readonly batchSize: number;
  readonly steps: number;
  readonly estimator: EstimatorSetting;
  readonly target: TargetSetting;
  readonly noise: NoiseSetting;
  readonly schedule: ScheduleSetting;
  /** Number of phases (section 4.3); 1: none. */
  readonly phases: number;
  readonly metric: MetricSetting;
  readonly weighting: WeightingSetting;
  readonly ema: { readonly decay: number } | { readonly sigmaRel: readonly number[] };
  /** Middle noise level of two-step sampling, where the publication says it. */
  readonly middle?: number;
  /** FID that the paper's row reports, by sampling steps; empty where it reports none. */
  readonly fid: Readonly<Record<number, number>>;
}
