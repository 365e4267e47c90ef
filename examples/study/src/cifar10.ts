import { fileURLToPath } from 'node:url';
import { toTensors } from '@cm/checkpoints';
import { readSafetensorsFile } from '@cm/checkpoints/node';
import { type ImageDataset, resize } from '@cm/datasets';
import { loadCifar10 } from '@cm/datasets/node';
import { edmDenoiser, fromCheckpoint, songUNetConfig } from '@cm/edm-unet';
import type { TrainableNetwork } from '@cm/trainer';
import * as tf from '@tensorflow/tfjs-core';
import type { Subject } from './workbench';

/** EDM's DDPM++ for CIFAR-10 at 16 × 16 pixels, reduced from 55.7 M parameters to 1.26 M. */
export const network = songUNetConfig({
  resolution: 16,
  modelChannels: 32,
  channelMult: [1, 2, 2],
  numBlocks: 1,
  attnResolutions: [8],
});

/** The network as the trainer sees it. */
export const trainable: TrainableNetwork = {
  denoiser: (params, key) => {
    const denoiser = edmDenoiser(network, params, key ? { dropout: { key } } : {});
    return (x, t, condition, rows) => denoiser(x, t, condition as tf.Tensor1D, rows);
  },
};

/** How the network was pretrained as a diffusion model, with noise levels that reach up to where one-step samples start. */
export const pretraining = {
  batchSize: 64,
  steps: 2200,
  learningRate: { lr: 2e-3, referenceSteps: 1000, warmupSteps: 100 },
  noise: { mean: -0.4, std: 1.4 },
  sigmaRel: 0.1,
} as const;

const asset = (name: string) => fileURLToPath(new URL(`../assets/${name}.safetensors`, import.meta.url));

/** Files that come with the study. `pnpm pretrain-cifar10` makes them anew. */
export const assets = { diffusion: asset('cifar10-diffusion'), classifier: asset('cifar10-classifier') };

/** A part of CIFAR-10, each image the mean over its blocks of 2 × 2 pixels. */
export async function loadImages(path: string, part: 'train' | 'test'): Promise<ImageDataset> {
  return resize(await loadCifar10(path, part), network.resolution);
}

/** The pretrained parameters. */
export async function loadPretrained(): Promise<tf.NamedTensorMap> {
  const stored = toTensors((await readSafetensorsFile(assets.diffusion)).tensors);
  const params = fromCheckpoint(network, stored);
  tf.dispose(stored);
  return params;
}

/** CIFAR-10 at 16 × 16, from an archive or folder of it. */
export const cifar10 = (path: string): Subject => ({
  loadImages: () => loadImages(path, 'train'),
  network: trainable,
  loadStart: loadPretrained,
  classifier: assets.classifier,
  tuning: {
    batchSize: 64,
    learningRate: { lr: 5e-4, referenceSteps: 1000 },
    adam: { beta1: 0.9, beta2: 0.99 },
    noise: { mean: 0, std: 1.5 },
    // Eight stages in 1,200 steps.
    schedule: { q: 2, d: 150, k: 8, b: 1 },
    c: 0.03,
    delta: 1e-3,
    sigmaRel: 0.1,
  },
  sampling: { sigmaMax: 10, middle: 0.8 },
});
