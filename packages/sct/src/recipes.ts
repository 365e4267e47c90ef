import { baselineRecipes, ectRecipes, type Recipe } from '@cm/ect';
import { smoother } from '@cm/schedules';

/** A setting of the SCT paper, as plain data. */
export interface SctRecipe extends Recipe {
  /** Guidance (Eq. 18) of the results in brackets: strength w = 1 + ω, and at which part of the training steps the average that guides is kept. */
  readonly guidance: { readonly strength: number; readonly averageAt: number };
  /** FID with guidance, by sampling steps. */
  readonly guidedFid: Readonly<Record<number, number>>;
  /** η of edge skipping (Eq. 20), where there are phases. */
  readonly eta?: number;
}

const source = 'Wang et al. 2024 (arXiv 2410.18958)';

/** The smooth term of the weighting 1/(t − r + δ). The paper prints no value; this is the library's. */
const delta = 1e-4;

type References = Extract<Recipe['estimator'], { name: 'stable-target' }>['references'];
const posteriorMean = (references: References) => ({ name: 'stable-target', references }) as const;

type Changes = Pick<SctRecipe, 'name' | 'reproduces' | 'fid' | 'guidedFid'> & Partial<SctRecipe>;

/** An ECT setting with what SCT changes: references, smoother schedule (unless the gap is fixed), δ. */
const tuned = (base: Recipe, changes: Changes): SctRecipe => ({
  ...base,
  source,
  schedule: 'q' in base.schedule ? smoother(base.schedule) : base.schedule,
  weighting: { name: 'inverse-gap', delta },
  estimator: posteriorMean('batch'),
  guidance: { strength: 1.2, averageAt: 0.5 },
  ...changes,
});

const cifar10 = (changes: Changes) => tuned(ectRecipes['ect-cifar10'], changes);
const conditional = { start: 'edm-cifar10-32x32-cond-vp', estimator: posteriorMean('batch-of-class') } as const;
const longCifar10 = { batchSize: 512, steps: 300_000 } as const;
const phased = (phases: number) => ({ phases, eta: 0.9 });
// A batch of 128 has hardly two images of one of 1,000 classes: only the class's own images leave anything to average.
const imagenet64 = (size: 's' | 'm', changes: Changes) =>
  tuned(ectRecipes[`ect-imagenet64-${size}`], { estimator: posteriorMean('all-of-class'), ...changes });

/**
 * The settings of the SCT paper's tables, by name; ★ of the paper is `-star` here. `objectiveOf` of `@cm/ect` makes an objective of one.
 *
 * The paper does not print q, d, δ, its edges, or which references it took on ImageNet-64: those are the library's. Whether its four steps on
 * ImageNet-64 are of a model trained in phases it does not say either; the number is kept with the plain recipe.
 */
export const sctRecipes = {
  'sct-cifar10': cifar10({
    name: 'sct-cifar10',
    reproduces: 'Table 2, SCT',
    fid: { 1: 3.11, 2: 2.05 },
    guidedFid: { 1: 2.98, 2: 2.05 },
  }),
  'sct-cifar10-star': cifar10({
    ...longCifar10,
    name: 'sct-cifar10-star',
    reproduces: 'Table 2, SCT★',
    fid: { 1: 2.92, 2: 2.02 },
    guidedFid: { 1: 2.78, 2: 1.94 },
  }),
  'sct-cifar10-4-phases': cifar10({
    name: 'sct-cifar10-4-phases',
    reproduces: 'Table 2, SCT (Phased), 4 steps',
    ...phased(4),
    fid: { 4: 1.95 },
    guidedFid: {},
  }),
  'sct-cifar10-8-phases': cifar10({
    name: 'sct-cifar10-8-phases',
    reproduces: 'Table 2, SCT (Phased), 8 steps',
    ...phased(8),
    fid: { 8: 1.86 },
    guidedFid: {},
  }),
  'sct-cifar10-cond': cifar10({
    ...conditional,
    name: 'sct-cifar10-cond',
    reproduces: 'Table 2, Cond-SCT',
    fid: { 1: 3.03, 2: 1.88 },
    guidedFid: { 1: 2.94, 2: 1.86 },
  }),
  'sct-cifar10-cond-star': cifar10({
    ...conditional,
    ...longCifar10,
    name: 'sct-cifar10-cond-star',
    reproduces: 'Table 2, Cond-SCT★',
    fid: { 1: 2.88, 2: 1.87 },
    guidedFid: { 1: 2.82, 2: 1.84 },
  }),
  'sct-cifar10-fixed': tuned(ectRecipes['ect-cifar10-fixed'], {
    name: 'sct-cifar10-fixed',
    reproduces: 'Fig. 4, references in the batch: a curve without a printed number',
    weighting: ectRecipes['ect-cifar10-fixed'].weighting,
    fid: {},
    guidedFid: {},
  }),
  'sct-cifar10-fixed-all': tuned(ectRecipes['ect-cifar10-fixed'], {
    name: 'sct-cifar10-fixed-all',
    reproduces: 'Fig. 4, all samples as references',
    estimator: posteriorMean('all'),
    weighting: ectRecipes['ect-cifar10-fixed'].weighting,
    fid: { 1: 4.56 },
    guidedFid: {},
  }),
  'sct-imagenet64-s': imagenet64('s', {
    name: 'sct-imagenet64-s',
    reproduces: 'Table 3, SCT-S',
    fid: { 1: 5.1, 2: 3.05, 4: 2.51 },
    guidedFid: { 1: 4.59, 2: 2.98, 4: 2.43 },
  }),
  'sct-imagenet64-m': imagenet64('m', {
    name: 'sct-imagenet64-m',
    reproduces: 'Table 3, SCT-M',
    fid: { 1: 3.3, 2: 2.13, 4: 1.83 },
    guidedFid: { 1: 3.06, 2: 2.09, 4: 1.78 },
  }),
  'sct-imagenet64-m-star': imagenet64('m', {
    name: 'sct-imagenet64-m-star',
    reproduces: 'Table 3, SCT-M★',
    batchSize: 1024,
    fid: { 1: 2.42, 2: 1.55 },
    guidedFid: { 1: 2.23, 2: 1.47 },
  }),
} as const satisfies Record<string, SctRecipe>;

/** Every recipe of this library by name: the baselines', ECT's and SCT's. */
export const recipes = { ...baselineRecipes, ...ectRecipes, ...sctRecipes } as const;

/** Name of one of {@link recipes}. */
export type RecipeName = keyof typeof recipes;
