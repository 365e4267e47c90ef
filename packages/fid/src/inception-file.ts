import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint, toTensors } from '@cm/checkpoints';
import * as tf from '@tensorflow/tfjs-core';
import { foldInception, type InceptionWeights } from './inception';
import { inceptionParameterShapes } from './inception-shapes';

/** The file as pytorch-fid and as torch-fidelity publish it: the same bytes. */
const names = ['pt_inception-2015-12-05-6726825d.pth', 'weights-inception-2015-12-05-6726825d.pth'];
const published = '6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2';

/** Where {@link loadInception} finds the weights. */
export interface InceptionSource {
  /** The file. Default: looked for by its two published names in the folders of {@link findInceptionWeights}. */
  readonly path?: string;
  /** SHA-256 that the file must have, in hexadecimal. Default: the published file's. */
  readonly sha256?: string;
}

/**
 * Looks for the weights in `$CM_CACHE` (default `~/.cache/cm`), and where PyTorch's tools leave them: `$TORCH_HOME/hub/checkpoints` (default
 * `~/.cache/torch/hub/checkpoints`).
 *
 * @throws Error that says what to fetch and where to put it.
 */
export async function findInceptionWeights(): Promise<string> {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const folders = [
    process.env.CM_CACHE ?? join(cache, 'cm'),
    join(process.env.TORCH_HOME ?? join(cache, 'torch'), 'hub', 'checkpoints'),
  ];
  for (const folder of folders) {
    for (const name of names) {
      const path = join(folder, name);
      if (
        await stat(path).then(
          (found) => found.isFile(),
          () => false,
        )
      )
        return path;
    }
  }
  throw new Error(
    `no Inception-v3 weights: download ${names[0]} (95,628,359 bytes, from the releases of mseitzer/pytorch-fid on GitHub, tag fid_weights) ` +
      `or ${names[1]} (toshas/torch-fidelity, tag v0.2.0) into ${folders[0]}, or give its path; looked in ${folders.join(' and ')}`,
  );
}

/**
 * The weights of the FID graph's Inception-v3 from a file of `torch.save`, which is read as data: nothing of it is executed.
 *
 * @returns The caller's: free them with `tf.dispose(weights.tensors)`.
 * @throws Error when there is no file (which says what to fetch), its SHA-256 is another, or a parameter is absent or of another shape.
 */
export async function loadInception({ path, sha256 = published }: InceptionSource = {}): Promise<InceptionWeights> {
  const file = path ?? (await findInceptionWeights());
  const bytes = new Uint8Array(await readFile(file));
  const actual = createHash('sha256').update(bytes).digest('hex');
  if (actual !== sha256) {
    throw new Error(
      `${file} has SHA-256 ${actual} and ${bytes.length} bytes, expected ${sha256}: damaged, or another file`,
    );
  }
  const found = openCheckpoint(bytes).tensors;
  // Counters of batches, 64-bit integers, are of no use here.
  const parameters = toTensors(
    Object.fromEntries(Object.entries(found).filter(([name]) => Object.hasOwn(inceptionParameterShapes, name))),
  );
  try {
    return foldInception(parameters);
  } finally {
    tf.dispose(parameters);
  }
}
