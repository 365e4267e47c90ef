import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Key } from '@cm/random';
import type * as tf from '@tensorflow/tfjs-core';
import type { TrainingState } from './state';
import { DamagedFileError, readTensorFile, writeTensorFile } from './tensor-file';

/** Options of {@link saveState}. */
export interface SaveStateOptions {
  /** How many states to keep, the newest ones. Default 3. */
  readonly keep?: number;
}

const FORMAT = '@cm/trainer state 1';
const states = /^\d{12}\.safetensors$/;

/**
 * Writes a state to a folder, as `<images>.safetensors`, and removes all but the newest `keep`. At any moment, a crash included, the folder has
 * the whole states that it had before or one more. One process at a time writes to a folder.
 *
 * @returns the file's path
 * @throws TrainingError `diverged` when a value of the state is not finite, which is then not written; the file system's error, such as that of
 *   a full disk, nothing being removed then
 */
export async function saveState(
  folder: string,
  state: TrainingState,
  { keep = 3 }: SaveStateOptions = {},
): Promise<string> {
  if (!(Number.isInteger(keep) && keep >= 1)) {
    throw new Error(`saveState: keep is ${keep}, expected a whole number from 1`);
  }
  await mkdir(folder, { recursive: true });
  // What a process left that was killed while it wrote.
  for (const name of await readdir(folder)) if (name.endsWith('.tmp')) await rm(join(folder, name), { force: true });

  const { params, optimizer, averages, best } = state;
  const maps = { params, m: optimizer.m, v: optimizer.v, ...prefixed('average:', averages) };
  const tensors: tf.NamedTensorMap = {};
  for (const [group, map] of Object.entries(maps)) {
    for (const [name, tensor] of Object.entries(map)) tensors[`${group}/${name}`] = tensor;
  }
  const path = join(folder, `${String(state.images).padStart(12, '0')}.safetensors`);
  await writeTensorFile(path, tensors, {
    format: FORMAT,
    step: String(state.step),
    images: String(state.images),
    seconds: String(state.seconds),
    key: JSON.stringify(state.key),
    optimizerStep: String(optimizer.step),
    averages: JSON.stringify(Object.keys(averages)),
    ...(best && { best: JSON.stringify(best) }),
  });
  for (const name of (await stateFiles(folder)).slice(keep)) await rm(join(folder, name), { force: true });
  return path;
}

/** Options of {@link loadState}. */
export interface LoadStateOptions {
  /** Told of each damaged file that was passed over. Default: a warning on the console. */
  readonly onDamaged?: (message: string) => void;
}

/**
 * The newest state of a folder that is whole, undefined where the folder has none. A damaged file is renamed to `….damaged`, and the one before
 * it is taken. The tensors are the caller's.
 *
 * @throws Error when there were states and all are damaged; the file system's error
 */
export async function loadState(
  folder: string,
  { onDamaged = console.warn }: LoadStateOptions = {},
): Promise<TrainingState | undefined> {
  const names = await stateFiles(folder);
  for (const name of names) {
    const path = join(folder, name);
    try {
      return await readState(path);
    } catch (error) {
      if (!(error instanceof DamagedFileError)) throw error;
      await rename(path, `${path}.damaged`);
      onDamaged(`${error.message}. It is set aside as ${name}.damaged, and the state before it is taken.`);
    }
  }
  if (names.length > 0) {
    throw new Error(`loadState: all states in ${folder} are damaged: remove the folder to begin anew`);
  }
  return undefined;
}

async function readState(path: string): Promise<TrainingState> {
  const { tensors, metadata } = await readTensorFile(path);
  if (metadata.format !== FORMAT) {
    throw new Error(`loadState: ${path} is of format ${metadata.format}, expected ${FORMAT}`);
  }
  const names = JSON.parse(metadata.averages!) as string[];
  const maps: Record<string, tf.NamedTensorMap> = { params: {}, m: {}, v: {} };
  for (const name of names) maps[`average:${name}`] = {};
  for (const [name, tensor] of Object.entries(tensors)) {
    const slash = name.indexOf('/');
    maps[name.slice(0, slash)]![name.slice(slash + 1)] = tensor;
  }
  const { params, m, v } = maps as Record<'params' | 'm' | 'v', tf.NamedTensorMap>;
  return {
    step: Number(metadata.step),
    images: Number(metadata.images),
    seconds: Number(metadata.seconds),
    key: JSON.parse(metadata.key!) as Key,
    params,
    optimizer: { step: Number(metadata.optimizerStep), m, v },
    averages: Object.fromEntries(names.map((name) => [name, maps[`average:${name}`]!])),
    ...(metadata.best && { best: JSON.parse(metadata.best) }),
  };
}

/** States in a folder, the newest first. */
async function stateFiles(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder))
      .filter((name) => states.test(name))
      .sort()
      .reverse();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

const prefixed = <T>(prefix: string, values: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [prefix + name, value]));
