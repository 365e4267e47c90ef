import { fileURLToPath } from 'node:url';
import { edm2Config } from '@cm/edm2-unet';

/** The network: an EDM2 small enough to be tuned on a CPU in minutes. */
export const network = edm2Config({
  resolution: 16,
  channels: 1,
  modelChannels: 16,
  channelMult: [1, 2, 3],
  numBlocks: 1,
  attnResolutions: [],
  channelsPerHead: 48,
  dropout: 0,
});

/**
 * How the network was pretrained as a diffusion model (`pnpm pretrain`): EDM's weighted denoising loss.
 * The noise range reaches up to the level at which one-step samples start.
 */
export const pretraining = {
  steps: 2500,
  batchSize: 64,
  learningRate: { lr: 6e-3, referenceSteps: 600 },
  noise: { mean: -0.4, std: 1.4 },
  sigmaRel: 0.1,
} as const;

/**
 * How it is tuned. A few hundred steps need a noise range of their own: with the paper's, made for t_max = 80,
 * hardly any row would lie at the noise level from which one-step samples start.
 */
export const tuning = {
  steps: 300,
  batchSize: 64,
  learningRate: { lr: 3e-3, referenceSteps: 300 },
  adam: { beta1: 0.9, beta2: 0.99 },
  noise: { mean: 0, std: 1.5 },
  /** ECT's schedule (Eq. 15), its d scaled to the budget; SCT's is the smoother one with the same overall rate. */
  schedule: { q: 2, d: 75, k: 8, b: 1 },
  c: 0.03,
  delta: 1e-3,
  sigmaRel: 0.1,
  evaluateEvery: 100,
  saveEvery: 25,
} as const;

/** How samples are drawn: the largest noise level, and the middle ones of two- and four-step sampling. */
export const sampling = {
  sigmaMax: 10,
  sigmaMin: 0.002,
  middle: { 1: [], 2: [0.8], 4: [2.5, 0.8, 0.3] },
  diffusionSteps: [1, 2, 4, 18],
} as const;

/** Samples behind each Fréchet distance, and images in a picture. */
export const evaluation = { samples: 500, batchSize: 100, gridSize: 8 } as const;

/** Files that come with the example. `pnpm pretrain` makes them anew. */
export const assets = {
  diffusion: fileURLToPath(new URL('../assets/diffusion.safetensors', import.meta.url)),
  classifier: fileURLToPath(new URL('../assets/classifier.safetensors', import.meta.url)),
};
