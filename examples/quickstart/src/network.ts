import { toTensors } from '@cm/checkpoints';
import { readSafetensorsFile } from '@cm/checkpoints/node';
import { edm2Denoiser, forceWeightNorm, fromCheckpoint, normalizeWeights } from '@cm/edm2-unet';
import type { TrainableNetwork } from '@cm/trainer';
import * as tf from '@tensorflow/tfjs-core';
import { network } from './settings';

/** The network as the trainer sees it. */
export const trainable: TrainableNetwork = {
  constrain: (params) => forceWeightNorm(network, params),
  prepare: (params) => normalizeWeights(network, params),
  denoiser: (weights) => edm2Denoiser(network, weights),
};

/** The pretrained parameters. */
export async function loadPretrained(path: string): Promise<tf.NamedTensorMap> {
  const stored = toTensors((await readSafetensorsFile(path)).tensors);
  const params = fromCheckpoint(stored);
  tf.dispose(stored);
  return params;
}

/** The pretrained network as a denoiser, with the weights that it holds. */
export async function loadDiffusionModel(path: string) {
  const params = await loadPretrained(path);
  const { weights } = normalizeWeights(network, params);
  tf.dispose(params);
  return { model: edm2Denoiser(network, weights), weights };
}
