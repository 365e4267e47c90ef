import type { Recipe } from './recipe';

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
  estimator: { name: 'one-sample' },
  target: { name: 'student' },
  noise: { mean: -1.1, std: 2 },
  schedule: { q: 2, d: 25_000, k: 8, b: 1 },
  phases: 1,
  metric: { name: 'pseudo-huber', c: 0 },
  weighting: { name: 'inverse-gap', delta: 0 },
  ema: { decay: 0.9999 },
  middle: 0.821,
  fid: { 1: 3.78, 2: 2.13 },
} as const satisfies Recipe;

const imagenet64 = (size: 'S' | 'M' | 'L' | 'XL', snapshot: string, lr: number, fid: Recipe['fid']): Recipe => ({
  name: `ect-imagenet64-${size.toLowerCase()}`,
  source,
  reproduces: size === 'L' ? 'no row of Table 3: ECT-L is not in it' : `Table 3, ECT-${size}`,
  network: `EDM2-${size}`,
  dropout: { rate: size === 'S' ? 0.4 : 0.5, maxResolution: 16 },
  start: `edm2-img64-${size.toLowerCase()}-${snapshot}`,
  optimizer: { name: 'adam', beta1: 0.9, beta2: 0.99 },
  learningRate: { lr, decaySteps: 2000 },
  batchSize: 128,
  steps: 100_000,
  estimator: { name: 'one-sample' },
  target: { name: 'student' },
  noise: { mean: -0.8, std: 1.6 },
  schedule: { q: 4, d: 25_000, k: 8, b: 1 },
  phases: 1,
  metric: { name: 'pseudo-huber', c: 0.06 },
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
  /** ECT's setting for one hour of one GPU: Δt = n(t)·t/256 throughout, a short average. */
  'ect-cifar10-one-hour': {
    ...cifar10,
    name: 'ect-cifar10-one-hour',
    reproduces:
      'no row: the text of section 5.2, “2-step FID surpasses Consistency Distillation within a single A100 GPU hour”',
    notes:
      'The FID of two steps is that of the abstract of arXiv 2406.14548; the number of steps, that of its script’s first evaluation.',
    steps: 8000,
    schedule: { q: 256, d: 1_000_000, k: 8, b: 1 },
    ema: { decay: 0.9993 },
    fid: { 2: 2.73 },
  },
  'ect-imagenet64-s': imagenet64('S', '1073741-0.075', 1e-3, { 1: 5.51, 2: 3.18 }),
  'ect-imagenet64-m': imagenet64('M', '2147483-0.060', 0.9e-3, { 1: 3.67, 2: 2.35 }),
  'ect-imagenet64-l': imagenet64('L', '1073741-0.040', 0.8e-3, {}),
  'ect-imagenet64-xl': imagenet64('XL', '0671088-0.040', 0.7e-3, { 1: 3.35, 2: 1.96 }),
} as const satisfies Record<string, Recipe>;
