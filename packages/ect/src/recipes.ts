import type { ProgressiveOptions } from '@cm/schedules';

/** A published training setting, as plain data. */
export interface Recipe {
  readonly name: string;
  /** Where it comes from. */
  readonly source: string;
  readonly network: string;
  /** Probability of dropout, and the largest resolution that has it. */
  readonly dropout: { readonly rate: number; readonly maxResolution?: number };
  /** Published checkpoint that it starts from. */
  readonly start: string;
  readonly optimizer: { readonly name: 'radam' | 'adam'; readonly beta1: number; readonly beta2: number };
  readonly learningRate: { readonly lr: number; readonly decaySteps?: number };
  readonly batchSize: number;
  readonly steps: number;
  /** Of ln t. */
  readonly noise: { readonly mean: number; readonly std: number };
  readonly schedule: ProgressiveOptions;
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

const cifar10 = {
  network: 'DDPM++ (EDM), 55.7 M parameters',
  dropout: { rate: 0.2 },
  optimizer: { name: 'radam', beta1: 0.9, beta2: 0.999 },
  learningRate: { lr: 1e-4 },
  batchSize: 128,
  steps: 200_000,
  noise: { mean: -1.1, std: 2 },
  schedule: { q: 2, d: 25_000, k: 8, b: 1 },
  c: 0,
  weighting: { name: 'inverse-gap', delta: 0 },
  ema: { decay: 0.9999 },
  middle: 0.821,
} as const;

const imagenet64 = (size: 'S' | 'M' | 'XL', lr: number, fid: Recipe['fid']): Recipe => ({
  name: `ect-imagenet64-${size.toLowerCase()}`,
  source: 'Geng et al. 2024 (arXiv 2406.14548)',
  network: `EDM2-${size}`,
  dropout: { rate: size === 'S' ? 0.4 : 0.5, maxResolution: 16 },
  start: `edm2-img64-${size.toLowerCase()}`,
  optimizer: { name: 'adam', beta1: 0.9, beta2: 0.99 },
  learningRate: { lr, decaySteps: 2000 },
  batchSize: 128,
  steps: 100_000,
  noise: { mean: -0.8, std: 1.6 },
  schedule: { q: 4, d: 25_000, k: 8, b: 1 },
  c: 0.06,
  weighting: { name: 'edm', sigmaData: 0.5 },
  ema: { sigmaRel: [0.05, 0.1] },
  middle: 1.526,
  fid,
});

/** ECT's settings, by name. */
export const ectRecipes = {
  'ect-cifar10': {
    ...cifar10,
    name: 'ect-cifar10',
    source: 'Geng et al. 2024 (arXiv 2406.14548)',
    start: 'edm-cifar10-32x32-uncond-vp',
    fid: { 1: 3.78, 2: 2.13 },
  },
  'ect-imagenet64-s': imagenet64('S', 1e-3, { 1: 5.51, 2: 3.18 }),
  'ect-imagenet64-m': imagenet64('M', 0.9e-3, { 1: 3.67, 2: 2.35 }),
  'ect-imagenet64-xl': imagenet64('XL', 0.7e-3, { 1: 3.35, 2: 1.96 }),
} as const satisfies Record<string, Recipe>;
