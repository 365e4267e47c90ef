import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint, toTensors } from '@cm/checkpoints';
import type * as tf from '@tensorflow/tfjs-core';

/** Where weights are found, and which they must be. */
export interface WeightsSource {
  /** The file. Default: looked for by its published names in the caches. */
  readonly path?: string;
  /** SHA-256 that the file must have, in hexadecimal. Default: the published file's. */
  readonly sha256?: string;
}

/**
 * Looks for a file in `$CM_CACHE` (default `~/.cache/cm`), and where PyTorch's tools leave it: `$TORCH_HOME/hub/checkpoints` (default
 * `~/.cache/torch/hub/checkpoints`).
 *
 * @param what What the message calls it.
 * @param download What to fetch, said in the message.
 * @throws Error that says what to fetch and where to put it.
 */
export async function findWeights(what: string, names: readonly string[], download: string): Promise<string> {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const folders = [
    process.env.CM_CACHE ?? join(cache, 'cm'),
    join(process.env.TORCH_HOME ?? join(cache, 'torch'), 'hub', 'checkpoints'),
  ];
  for (const path of folders.flatMap((folder) => names.map((name) => join(folder, name)))) {
    const isThere = await stat(path).then(
      (found) => found.isFile(),
      () => false,
    );
    if (isThere) return path;
  }
  throw new Error(
    `no ${what} weights: download ${download} into ${folders[0]}, or give its path; looked in ${folders.join(' and ')}`,
  );
}

/**
 * The tensors of a file of `torch.save` that are asked for, on the current backend: the caller's. The file is read as data, nothing of it is
 * executed.
 *
 * @throws Error when its SHA-256 is another; CheckpointError when it is no such file.
 */
export async function readWeights(
  path: string,
  sha256: string,
  isWanted: (name: string) => boolean,
): Promise<tf.NamedTensorMap> {
  const bytes = new Uint8Array(await readFile(path));
  const actual = createHash('sha256').update(bytes).digest('hex');
  if (actual !== sha256) {
    throw new Error(
      `${path} has SHA-256 ${actual} and ${bytes.length} bytes, expected ${sha256}: damaged, or another file`,
    );
  }
  const found = openCheckpoint(bytes).tensors;
  return toTensors(Object.fromEntries(Object.entries(found).filter(([name]) => isWanted(name))));
}
