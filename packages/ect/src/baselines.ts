import { ictConstant } from './metrics';
import type { Recipe } from './recipe';

const cm = 'Song et al. 2023 (arXiv 2303.01469) and its released configurations';
const ict = 'Song and Dhariwal 2023 (arXiv 2310.14189)';

const lpips = { name: 'perceptual', network: 'LPIPS (VGG)' } as const;
const ncsnpp = 'NCSN++, 56.4 M parameters';
const adm = 'ADM, 192 channels, 3 blocks a resolution';
const radam = { name: 'radam', beta1: 0.9, beta2: 0.999 } as const;

/** Consistency distillation and training share all but what distils. */
const cmCifar10 = {
  source: cm,
  network: ncsnpp,
  dropout: { rate: 0 },
  optimizer: radam,
  batchSize: 512,
  steps: 800_000,
  noise: { rho: 7 },
  phases: 1,
  metric: lpips,
  weighting: { name: 'uniform' },
  ema: { decay: 0.9999 },
} as const;

const cmImageNet64 = {
  ...cmCifar10,
  network: adm,
  batchSize: 2048,
  ema: { decay: 0.999943 },
} as const;

const heun = { name: 'distillation', solver: 'heun', steps: 1 } as const;
const oneSample = { name: 'one-sample' } as const;

// Ten million images, in steps of 512.
const cifar10Warmup = 19_531;

const ictCifar10 = {
  source: ict,
  network: ncsnpp,
  dropout: { rate: 0.3 },
  start: 'random',
  optimizer: radam,
  learningRate: { lr: 1e-4 },
  batchSize: 1024,
  steps: 400_000,
  estimator: oneSample,
  target: { name: 'student' },
  noise: { mean: -1.1, std: 2, min: 0.002, max: 80 },
  schedule: { curriculum: { name: 'exponential', s0: 10, s1: 1280, iterations: 400_000 } },
  phases: 1,
  metric: { name: 'pseudo-huber', c: ictConstant(32 * 32 * 3) },
  weighting: { name: 'inverse-gap', delta: 0 },
  ema: { decay: 0.99993 },
  middle: 0.821,
} as const;

const ictImageNet64 = {
  ...ictCifar10,
  network: adm,
  dropout: { rate: 0.2, maxResolution: 16 },
  batchSize: 4096,
  steps: 800_000,
  schedule: { curriculum: { name: 'exponential', s0: 10, s1: 1280, iterations: 800_000 } },
  metric: { name: 'pseudo-huber', c: ictConstant(64 * 64 * 3) },
  ema: { decay: 0.99997 },
  middle: 1.526,
  notes: 'There is no public implementation: dropout, learning rate and average have not been checked against one.',
} as const;

const deep = (network: string) => `${network}, twice the blocks`;

const multistep = (phases: 1 | 2 | 4, fid: number) =>
  ({
    name: `mcm-imagenet64-${phases}`,
    source: 'Heek et al. 2024 (arXiv 2403.06807)',
    reproduces: `Table 3, MCM (CT), ${phases === 1 ? '1 step' : `${phases} steps`}`,
    notes:
      'Published on a variance-preserving path with a UViT; here on EDM’s path, with its grid, phases and an EDM2 network. Optimizer, dropout, ' +
      'averages, weighting and metric are this library’s choice.',
    network: 'EDM2-S in place of a UViT',
    dropout: { rate: 0.4, maxResolution: 16 },
    start: 'edm2-img64-s-1073741-0.075',
    optimizer: { name: 'adam', beta1: 0.9, beta2: 0.99 },
    learningRate: { lr: 1e-3, decaySteps: 2000 },
    batchSize: 2048,
    steps: 200_000,
    estimator: oneSample,
    target: { name: 'student' },
    noise: { rho: 7 },
    schedule: { curriculum: { name: 'geometric', s0: 64, s1: 1280, iterations: 100_000 } },
    phases,
    metric: { name: 'pseudo-huber', c: ictConstant(64 * 64 * 3) },
    weighting: { name: 'snr', offset: 1 },
    ema: { sigmaRel: [0.05, 0.1] },
    fid: { [phases]: fid },
  }) as const satisfies Recipe;

/**
 * The methods that ECT and SCT are compared with, by name: consistency distillation (CD), consistency training (CT), improved consistency
 * training (iCT, and with networks twice as deep), multistep consistency models (MCM).
 *
 * Their grids end at 0.002, where their networks are made to return their input: D(x, 0.002) is x, and nearly so of EDM's preconditioning.
 */
export const baselineRecipes = {
  'cd-cifar10': {
    ...cmCifar10,
    name: 'cd-cifar10',
    reproduces: 'Table 2, CD (LPIPS)',
    start: 'edm_cifar10_ema (the teacher)',
    learningRate: { lr: 4e-4, warmupSteps: cifar10Warmup },
    estimator: heun,
    target: { name: 'student' },
    schedule: { curriculum: { name: 'constant', levels: 18 } },
    fid: { 1: 3.55, 2: 2.93 },
  },
  'ct-cifar10': {
    ...cmCifar10,
    name: 'ct-cifar10',
    reproduces: 'Table 2, CT (LPIPS)',
    start: 'random',
    learningRate: { lr: 2e-4, warmupSteps: cifar10Warmup },
    estimator: oneSample,
    target: { name: 'curriculum-average', decay: 0.9 },
    schedule: { curriculum: { name: 'square-root', s0: 2, s1: 150, iterations: 800_000 } },
    fid: { 1: 8.7, 2: 5.83 },
  },
  'ict-cifar10': {
    ...ictCifar10,
    name: 'ict-cifar10',
    reproduces: 'Table 2, iCT',
    fid: { 1: 2.83, 2: 2.46 },
  },
  'ict-cifar10-deep': {
    ...ictCifar10,
    name: 'ict-cifar10-deep',
    reproduces: 'Table 2, iCT-deep',
    network: deep(ncsnpp),
    fid: { 1: 2.51, 2: 2.24 },
  },
  'cd-imagenet64': {
    ...cmImageNet64,
    name: 'cd-imagenet64',
    reproduces: 'Table 3, CD (LPIPS)',
    start: 'edm_imagenet64_ema (the teacher)',
    learningRate: { lr: 8e-6 },
    steps: 600_000,
    estimator: heun,
    target: { name: 'average', decay: 0.95 },
    schedule: { curriculum: { name: 'constant', levels: 40 } },
    fid: { 1: 6.2, 2: 4.7, 3: 4.32 },
  },
  'ct-imagenet64': {
    ...cmImageNet64,
    name: 'ct-imagenet64',
    reproduces: 'Table 3, CT (LPIPS)',
    start: 'random',
    learningRate: { lr: 1e-4 },
    estimator: oneSample,
    target: { name: 'curriculum-average', decay: 0.95 },
    schedule: { curriculum: { name: 'square-root', s0: 2, s1: 200, iterations: 800_000 } },
    fid: { 1: 13, 2: 11.1 },
  },
  'ict-imagenet64': {
    ...ictImageNet64,
    name: 'ict-imagenet64',
    reproduces: 'Table 3, iCT',
    fid: { 1: 4.02, 2: 3.2 },
  },
  'ict-imagenet64-deep': {
    ...ictImageNet64,
    name: 'ict-imagenet64-deep',
    reproduces: 'Table 3, iCT-deep',
    network: deep(adm),
    fid: { 1: 3.25, 2: 2.77 },
  },
  'mcm-imagenet64-1': multistep(1, 7.2),
  'mcm-imagenet64-2': multistep(2, 2.7),
  'mcm-imagenet64-4': multistep(4, 1.8),
} as const satisfies Record<string, Recipe>;
