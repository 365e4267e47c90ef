import type { Recipe } from '@cm/ect';
import { recipes, type SctRecipe } from '@cm/sct';
import { differences } from './differences';
import { nearest } from './nearest';
import type { FileConfig, RunSettings } from './train-config';
import { merge } from './train-merge';

/** A recipe of any method, as training uses it. */
export type TrainRecipe = Recipe & Partial<Pick<SctRecipe, 'guidance' | 'guidedFid' | 'eta'>>;

/** What the command line says of a run's numbers. */
export interface RunFlags {
  readonly batch?: number;
  readonly microBatch?: number;
  /** Training images: becomes steps of whole batches. */
  readonly images?: number;
  readonly seed?: number;
}

/** Every number of a run. */
export interface ResolvedRun {
  readonly recipe: TrainRecipe;
  readonly run: RunSettings;
  /** How the recipe differs from the published one, as text: `batchSize: 128, here 64`. */
  readonly changes: readonly string[];
}

/**
 * A recipe by name, with what the configuration file and then the flags change.
 *
 * @throws Error when there is no such recipe, with the nearest one's name; when a change is none of its setting's kind
 */
export function resolveRun(name: string, file: FileConfig, flags: RunFlags = {}): ResolvedRun {
  if (!Object.hasOwn(recipes, name)) {
    const names = Object.keys(recipes);
    throw new Error(
      `there is no recipe ${name}, did you mean ${nearest(name, names)}? There are ${names.sort().join(', ')}`,
    );
  }
  const published: TrainRecipe = recipes[name as keyof typeof recipes];
  const changed = { ...file.recipe, ...(flags.batch !== undefined && { batchSize: flags.batch }) };
  const merged = merge({ ...published }, changed) as unknown as TrainRecipe;
  const recipe = flags.images === undefined ? merged : { ...merged, steps: Math.ceil(flags.images / merged.batchSize) };
  const run: RunSettings = {
    ...defaultsOf(recipe),
    ...file.run,
    ...(flags.microBatch !== undefined && { microBatch: flags.microBatch }),
    ...(flags.seed !== undefined && { seed: flags.seed }),
  };
  const changes = differences(published, recipe).map(({ path, a, b }) => `${path}: ${a}, here ${b}`);
  return { recipe, run, changes };
}

function defaultsOf({ batchSize, steps }: Recipe): RunSettings {
  const part = (share: number) => batchSize * Math.max(1, Math.round(steps * share));
  return {
    seed: 0,
    microBatch: batchSize,
    flip: false,
    recompute: false,
    sigmaMax: 80,
    saveEvery: part(1 / 100),
    keepStates: 3,
    snapshotEvery: part(1 / 20),
    evaluateEvery: part(1 / 20),
    evaluationImages: 10_000,
    gridImages: 64,
    logEvery: Math.max(1, Math.floor(steps / 10_000)),
  };
}
