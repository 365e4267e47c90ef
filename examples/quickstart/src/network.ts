import { toTensors } from '@cm/checkpoints';
import { readSafetensorsFile } from '@cm/checkpoints/node';
import { edm2Denoiser, fromCheckpoint, normalizeWeights } from '@cm/edm2-unet';
import * as tf from '@tensorflow/tfjs-core';
import { network } from './settings';

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
