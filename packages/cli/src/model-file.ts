import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Checkpoint } from '@cm/checkpoints';
import { openCheckpoint } from '@cm/checkpoints/node';
import { type Denoiser, guided } from '@cm/samplers';
import { withDenoiser } from '@cm/trainer';
import { type Network, networkConfigOf, networkOf, parametersOf } from './network';
import { heunSampling, type Sampling, samplingsOf } from './sampling';
import { resolveRun, type TrainRecipe } from './train-recipe';

/** A model on disk, and how it is sampled. */
export interface ModelFile {
  readonly path: string;
  readonly sha256: string;
  readonly network: Network;
  readonly checkpoint: Checkpoint;
  /** What it was trained by; none: a diffusion model. */
  readonly recipe?: TrainRecipe;
  /** Noise level that sampling starts from. */
  readonly sigmaMax: number;
  /** The average that a snapshot is of, by name. */
  readonly average?: string;
  /** Training images seen, where the file tells. */
  readonly images?: number;
}

/** Which model is meant. */
export interface ModelChoice {
  /** Of a run folder the best snapshot, not the newest. Default false. */
  readonly best?: boolean;
  /** The recipe by whose rule a file that names none, or another, is sampled. */
  readonly recipe?: string;
}

/**
 * Opens a model: a snapshot of `cm train`, or a checkpoint that says which network it is (EDM's, EDM2's and ECT's pickles, and what
 * `cm convert` made of them). A run folder stands for its newest snapshot, of the first of its averages.
 *
 * @throws Error when a folder has no snapshots, or the file does not say which network it is; CheckpointError when it is damaged
 */
export async function openModel(path: string, { best = false, recipe: named }: ModelChoice = {}): Promise<ModelFile> {
  const file = (await stat(path)).isDirectory() ? await snapshotOf(path, best) : path;
  const checkpoint = await openCheckpoint(file);
  const { recipe: stored, sigmaMax, average, images } = checkpoint.metadata;
  const recipe =
    named !== undefined
      ? resolveRun(named, { recipe: {}, run: {} }).recipe
      : typeof stored === 'string'
        ? (JSON.parse(stored) as TrainRecipe)
        : undefined;
  const level = Number(sigmaMax ?? 80);
  if (!(level > 0)) throw new Error(`${file}: sigmaMax is ${String(sigmaMax)}, expected a noise level above 0`);
  return {
    path: file,
    sha256: await sha256Of(file),
    network: networkOf(networkConfigOf(file, checkpoint)),
    checkpoint,
    ...(recipe && { recipe }),
    sigmaMax: level,
    ...(typeof average === 'string' && { average }),
    ...(typeof images === 'string' && { images: Number(images) }),
  };
}

/** The newest snapshot of a run folder, or the best; of its averages the first by name, as in training. */
async function snapshotOf(folder: string, best: boolean): Promise<string> {
  const snapshots = join(folder, 'snapshots');
  const names = existsSync(snapshots) ? await readdir(snapshots) : [];
  const found = names.filter((name) => (best ? /^best-.*\.safetensors$/ : /^\d{12}-.*\.safetensors$/).test(name));
  const newest = best ? 'best' : (found.sort().at(-1)?.slice(0, 12) ?? '');
  const [name] = found.filter((other) => other.startsWith(newest)).sort();
  if (name === undefined) {
    throw new Error(
      `${folder}: has no ${best ? 'best snapshot, which training keeps where it measures distances' : 'snapshots'}, expected the folder of a run (cm train)`,
    );
  }
  return join(snapshots, name);
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** Heun's steps of a diffusion model: EDM's number for CIFAR-10. */
const HEUN_STEPS = 18;

/**
 * How a model is sampled in a number of steps: as its recipe says, or a diffusion model by Heun's method.
 *
 * @param steps Default: all ways of the recipe; 18 of a diffusion model.
 * @throws Error when the recipe has no such number of steps
 */
export function samplingsOfModel({ path, recipe, sigmaMax }: ModelFile, steps?: readonly number[]): Sampling[] {
  if (!recipe) return (steps ?? [HEUN_STEPS]).map((count) => heunSampling(count, sigmaMax));
  const known = samplingsOf(recipe, sigmaMax);
  return (steps ?? known.map((way) => way.steps)).map((count) => {
    const way = known.find((other) => other.steps === count);
    if (way) return way;
    const list = known.map((other) => other.steps).join(' or ');
    throw new Error(`--steps is ${count}, expected ${list}: ${path} is a model of the recipe ${recipe.name}`);
  });
}

/** How a model is guided. */
export interface GuidanceChoice {
  /** w in Karras's convention, 1: off. Default: the recipe's. */
  readonly strength?: number;
  /** File of the worse model. Default: the snapshot at half the training, of the same average, beside the model's. */
  readonly guide?: string;
}

/** The model that guides, and how strongly. */
export interface Guide {
  readonly strength: number;
  readonly file: ModelFile;
}

/**
 * The guide that is meant; undefined where none is.
 *
 * @throws Error when there is none by default, it is a model of other images, or nothing says how strongly it guides
 */
export async function openGuide(
  model: ModelFile,
  { strength = model.recipe?.guidance?.strength, guide }: GuidanceChoice,
): Promise<Guide> {
  if (strength === undefined) {
    throw new Error('--guidance is missing, expected a strength: the recipe of the model has none');
  }
  const path = guide ?? join(dirname(model.path), `halfway-${model.average}.safetensors`);
  if (guide === undefined && (model.average === undefined || !existsSync(path))) {
    throw new Error(`--guide is missing, expected the snapshot that guides: ${path} is not there`);
  }
  const file = await openModel(path);
  const [own, other] = [model, file].map(({ network: { imageShape, classes } }) => [...imageShape, classes].join());
  if (own !== other) {
    throw new Error(
      `--guide is a model of [height, width, channels, classes] ${other}, expected those of ${model.path}, ${own}`,
    );
  }
  return { strength, file };
}

/** Runs `use` with a model, guided where there is a guide, on the current backend; parameters are freed afterwards. */
export async function withModel<T>(
  file: ModelFile,
  guide: Guide | undefined,
  use: (model: Denoiser) => Promise<T>,
): Promise<T> {
  const { dispose } = await import('@tensorflow/tfjs-core');
  const params = parametersOf(file.network, file.checkpoint);
  try {
    return await withDenoiser(file.network, params, (good) =>
      guide
        ? withModel(guide.file, undefined, (bad) => use(guided(good, bad, { strength: guide.strength })))
        : use(good),
    );
  } finally {
    dispose(params);
  }
}
