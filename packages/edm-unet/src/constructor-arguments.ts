import {
  type ArgumentNames,
  argumentsFromOptions,
  type ConstructorArguments,
  optionsFromArguments,
} from '@cm/edm2-unet';
import {
  type DhariwalUNetConfig,
  dhariwalUNetConfig,
  type EdmConfig,
  type Preconditioning,
  type SongUNetConfig,
  songUNetConfig,
} from './config';

// The reference's names of arguments, and ours.
const common: ArgumentNames = {
  img_resolution: 'resolution',
  img_channels: 'channels',
  label_dim: 'labelDim',
  augment_dim: 'augmentDim',
  model_channels: 'modelChannels',
  channel_mult: 'channelMult',
  channel_mult_emb: 'channelMultEmb',
  num_blocks: 'numBlocks',
  attn_resolutions: 'attnResolutions',
  dropout: 'dropout',
  label_dropout: 'labelDropout',
};
const networks: Readonly<Record<string, ArgumentNames>> = {
  SongUNet: {
    ...common,
    embedding_type: 'embedding',
    channel_mult_noise: 'channelMultNoise',
    encoder_type: 'encoder',
    decoder_type: 'decoder',
    resample_filter: 'resampleFilter',
  },
  DhariwalUNet: common,
};

interface PreconditioningClass {
  readonly names: ArgumentNames;
  readonly defaults: Preconditioning;
  /** The network where `model_type` is not given. */
  readonly network: 'SongUNet' | 'DhariwalUNet';
}

const preconditionings: Readonly<Record<string, PreconditioningClass>> = {
  EDMPrecond: {
    names: { sigma_data: 'sigmaData' },
    defaults: { kind: 'edm', sigmaData: 0.5 },
    network: 'DhariwalUNet',
  },
  ECMPrecond: {
    names: { sigma_data: 'sigmaData', sigma_min: 'sigmaMin' },
    defaults: { kind: 'ecm', sigmaData: 0.5, sigmaMin: 0.003 },
    network: 'DhariwalUNet',
  },
  VPPrecond: {
    names: { beta_d: 'betaD', beta_min: 'betaMin', M: 'timesteps', epsilon_t: 'epsilonT' },
    defaults: { kind: 'vp', betaD: 19.9, betaMin: 0.1, timesteps: 1000, epsilonT: 1e-5 },
    network: 'SongUNet',
  },
  VEPrecond: {
    names: { sigma_min: 'sigmaMin', sigma_max: 'sigmaMax' },
    defaults: { kind: 've', sigmaMin: 0.02, sigmaMax: 100 },
    network: 'SongUNet',
  },
  iDDPMPrecond: {
    names: { C_1: 'c1', C_2: 'c2', M: 'timesteps' },
    defaults: { kind: 'iddpm', c1: 0.001, c2: 0.008, timesteps: 1000 },
    network: 'DhariwalUNet',
  },
};

/** Arguments that change nothing here: the precision on their GPU, and limits of the noise levels that samplers are to use. */
const ignored = ['model_type', 'use_fp16', 'sigma_min', 'sigma_max'];

/**
 * The configuration of a network in a published file, from the arguments that the file says it was constructed with.
 *
 * @throws Error naming a class or an argument that is not EDM's or ECT's, or a value that does not fit
 */
export function edmConfigFromArguments(init: ConstructorArguments): EdmConfig {
  const where = 'edmConfigFromArguments';
  const { className, kwargs } = init;
  const known = className.slice(className.lastIndexOf('.') + 1);
  const precond = Object.hasOwn(preconditionings, known) ? preconditionings[known] : undefined;
  if (!precond) {
    throw new Error(`${where}: class is ${className}, expected one of ${Object.keys(preconditionings).join(', ')}`);
  }
  const type = String(kwargs.model_type ?? precond.network);
  const network = Object.hasOwn(networks, type) ? networks[type] : undefined;
  if (!network) throw new Error(`${where}: model_type is ${type}, expected one of ${Object.keys(networks).join(', ')}`);

  const given = optionsFromArguments(where, { ...network, ...precond.names }, init, ignored);
  const ofPreconditioning = new Set(Object.values(precond.names));
  const part = (inner: boolean) => Object.entries(given).filter(([name]) => ofPreconditioning.has(name) === inner);
  const options = {
    ...Object.fromEntries(part(false)),
    preconditioning: { ...precond.defaults, ...Object.fromEntries(part(true)) } as Preconditioning,
  };
  return type === 'SongUNet'
    ? songUNetConfig(options as Partial<SongUNetConfig> & { resolution: number })
    : dhariwalUNetConfig(options as Partial<DhariwalUNetConfig> & { resolution: number });
}

/**
 * What the reference constructs the same network with: the inverse of {@link edmConfigFromArguments}. As JSON in a file's metadata, it is
 * enough to rebuild the network from, there and here.
 */
export function edmArguments(config: EdmConfig): { className: string; kwargs: Record<string, unknown> } {
  const { preconditioning } = config;
  const [className, precond] = Object.entries(preconditionings).find(
    ([, { defaults }]) => defaults.kind === preconditioning.kind,
  )!;
  const type = config.architecture === 'song' ? 'SongUNet' : 'DhariwalUNet';
  const kwargs = {
    model_type: type,
    ...argumentsFromOptions(config, networks[type]!),
    ...argumentsFromOptions(preconditioning, precond.names),
  };
  return { className, kwargs };
}
