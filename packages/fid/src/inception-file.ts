import * as tf from '@tensorflow/tfjs-core';
import { foldInception, type InceptionWeights } from './inception';
import { inceptionParameterShapes } from './inception-shapes';
import { findWeights, readWeights, type WeightsSource } from './weights-file';

/** The file as pytorch-fid and as torch-fidelity publish it: the same bytes. */
const names = ['pt_inception-2015-12-05-6726825d.pth', 'weights-inception-2015-12-05-6726825d.pth'];

/** SHA-256 of the published file. */
export const inceptionSha256 = '6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2';

/**
 * Looks for the weights in `$CM_CACHE` (default `~/.cache/cm`), and where PyTorch's tools leave them: `$TORCH_HOME/hub/checkpoints` (default
 * `~/.cache/torch/hub/checkpoints`).
 *
 * @throws Error that says what to fetch and where to put it.
 */
export const findInceptionWeights = (): Promise<string> =>
  findWeights(
    'Inception-v3',
    names,
    `${names[0]} (95,628,359 bytes, from the releases of mseitzer/pytorch-fid on GitHub, tag fid_weights) ` +
      `or ${names[1]} (toshas/torch-fidelity, tag v0.2.0)`,
  );

/**
 * The weights of the FID graph's Inception-v3 from a file of `torch.save`, which is read as data: nothing of it is executed.
 *
 * @returns The caller's: free them with `tf.dispose(weights.tensors)`.
 * @throws Error when there is no file (which says what to fetch), its SHA-256 is another, or a parameter is absent or of another shape.
 */
export async function loadInception({ path, sha256 = inceptionSha256 }: WeightsSource = {}): Promise<InceptionWeights> {
  const file = path ?? (await findInceptionWeights());
  // Counters of batches, 64-bit integers, are of no use here.
  const parameters = await readWeights(file, sha256, (name) => Object.hasOwn(inceptionParameterShapes, name));
  try {
    return foldInception(parameters);
  } finally {
    tf.dispose(parameters);
  }
}
