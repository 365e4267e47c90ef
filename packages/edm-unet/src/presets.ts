import { dhariwalUNetConfig, type EdmConfig, type SongUNetConfig, songUNetConfig } from './config';

/** EDM's settings of DDPM++ (`vp` in the names of its files) and NCSN++ (`ve`). */
const ddpmpp = { modelChannels: 128, augmentDim: 9 } as const;
const ncsnpp = {
  ...ddpmpp,
  embedding: 'fourier',
  channelMultNoise: 2,
  encoder: 'residual',
  resampleFilter: [1, 3, 3, 1],
} as const satisfies Partial<SongUNetConfig>;
const cifar10 = { resolution: 32, channelMult: [2, 2, 2], dropout: 0.13 } as const;
const faces = { resolution: 64, channelMult: [1, 2, 2, 2] } as const;

/**
 * Configurations of the networks that EDM published, all with EDM's preconditioning. Their files carry their own
 * (`edmConfigFromArguments`); these are for training anew, and for files that lost theirs.
 */
export const edmPresets = {
  /** `edm-cifar10-32x32-uncond-vp` */
  'cifar10-uncond-ddpmpp': songUNetConfig({ ...ddpmpp, ...cifar10 }),
  /** `edm-cifar10-32x32-cond-vp` */
  'cifar10-cond-ddpmpp': songUNetConfig({ ...ddpmpp, ...cifar10, labelDim: 10 }),
  /** `edm-cifar10-32x32-uncond-ve` */
  'cifar10-uncond-ncsnpp': songUNetConfig({ ...ncsnpp, ...cifar10 }),
  /** `edm-cifar10-32x32-cond-ve` */
  'cifar10-cond-ncsnpp': songUNetConfig({ ...ncsnpp, ...cifar10, labelDim: 10 }),
  /** `edm-ffhq-64x64-uncond-vp` */
  'ffhq64-ddpmpp': songUNetConfig({ ...ddpmpp, ...faces, dropout: 0.05 }),
  /** `edm-ffhq-64x64-uncond-ve` */
  'ffhq64-ncsnpp': songUNetConfig({ ...ncsnpp, ...faces, dropout: 0.05 }),
  /** `edm-afhqv2-64x64-uncond-vp` */
  'afhqv2-64-ddpmpp': songUNetConfig({ ...ddpmpp, ...faces, dropout: 0.25 }),
  /** `edm-afhqv2-64x64-uncond-ve` */
  'afhqv2-64-ncsnpp': songUNetConfig({ ...ncsnpp, ...faces, dropout: 0.25 }),
  /** `edm-imagenet-64x64-cond-adm` */
  'imagenet64-cond-adm': dhariwalUNetConfig({ resolution: 64, labelDim: 1000 }),
} as const satisfies Record<string, EdmConfig>;

/** Name of a published network's configuration. */
export type EdmPreset = keyof typeof edmPresets;
