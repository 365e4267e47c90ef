import { ectRecipes, type Recipe } from '@cm/ect';
import { smoother } from '@cm/schedules';

/** A setting of the SCT paper, as plain data. */
export interface SctRecipe extends Recipe {
  /** What posterior means are taken over. */
  readonly references: 'batch' | 'batch-of-class';
  /** Number of phases (section 4.3); 1: none. */
  readonly phases: number;
  /** FID with guidance by a sub-optimal version of the model (Eq. 18), by sampling steps. */
  readonly guidedFid: Readonly<Record<number, number>>;
}

const source = 'Wang et al. 2024 (arXiv 2410.18958)';

/** The smooth term of the weighting 1/(t − r + δ). The paper prints no value; this is the library's. */
const delta = 1e-4;

type Changes = Pick<SctRecipe, 'name' | 'fid' | 'guidedFid'> & Partial<SctRecipe>;

/** An ECT setting with what SCT changes: references, smoother schedule, δ. */
const tuned = (base: Recipe, changes: Changes): SctRecipe => ({
  ...base,
  source,
  schedule: smoother(base.schedule),
  weighting: { name: 'inverse-gap', delta },
  references: 'batch',
  phases: 1,
  ...changes,
});

const cifar10 = (changes: Changes) => tuned(ectRecipes['ect-cifar10'], changes);
const conditional = { start: 'edm-cifar10-32x32-cond-vp', references: 'batch-of-class' } as const;
const longCifar10 = { batchSize: 512, steps: 300_000 } as const;
const imagenet64 = (size: 's' | 'm', changes: Changes) =>
  tuned(ectRecipes[`ect-imagenet64-${size}`], { references: 'batch-of-class', ...changes });

/** The settings of the SCT paper's tables, by name; ★ of the paper is `-star` here. */
export const sctRecipes = {
  'sct-cifar10': cifar10({ name: 'sct-cifar10', fid: { 1: 3.11, 2: 2.05 }, guidedFid: { 1: 2.98 } }),
  'sct-cifar10-star': cifar10({
    ...longCifar10,
    name: 'sct-cifar10-star',
    fid: { 1: 2.92, 2: 2.02 },
    guidedFid: { 1: 2.78, 2: 1.94 },
  }),
  'sct-cifar10-4-phases': cifar10({ name: 'sct-cifar10-4-phases', phases: 4, fid: { 4: 1.95 }, guidedFid: {} }),
  'sct-cifar10-8-phases': cifar10({ name: 'sct-cifar10-8-phases', phases: 8, fid: { 8: 1.86 }, guidedFid: {} }),
  'sct-cifar10-cond': cifar10({
    ...conditional,
    name: 'sct-cifar10-cond',
    fid: { 1: 3.03, 2: 1.88 },
    guidedFid: { 1: 2.94, 2: 1.86 },
  }),
  'sct-cifar10-cond-star': cifar10({
    ...conditional,
    ...longCifar10,
    name: 'sct-cifar10-cond-star',
    fid: { 1: 2.88, 2: 1.87 },
    guidedFid: { 1: 2.82, 2: 1.84 },
  }),
  'sct-imagenet64-s': imagenet64('s', {
    name: 'sct-imagenet64-s',
    fid: { 1: 5.1, 2: 3.05, 4: 2.51 },
    guidedFid: { 1: 4.59, 2: 2.98, 4: 2.43 },
  }),
  'sct-imagenet64-m': imagenet64('m', {
    name: 'sct-imagenet64-m',
    fid: { 1: 3.3, 2: 2.13, 4: 1.83 },
    guidedFid: { 1: 3.06, 2: 2.09, 4: 1.78 },
  }),
  'sct-imagenet64-m-star': imagenet64('m', {
    name: 'sct-imagenet64-m-star',
    batchSize: 1024,
    fid: { 1: 2.42, 2: 1.55 },
    guidedFid: { 1: 2.23, 2: 1.47 },
  }),
} as const satisfies Record<string, SctRecipe>;
