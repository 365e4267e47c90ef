import {
  type DhariwalUNetConfig,
  dhariwalUNetConfig,
  type EdmConfig,
  type Preconditioning,
  type SongUNetConfig,
  songUNetConfig,
} from './config';

/** What a network of a published file was constructed with, as `@cm/checkpoints` gives it (`init` of an opened file). */
export interface ConstructorArguments {
  readonly className: string;
  readonly args?: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
}

type Names = Readonly<Record<string, string>>;

// The reference's names of arguments, and ours.
const common: Names = {
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
const networks: Readonly<Record<string, Names>> = {
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
  readonly names: Names;
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
export function edmConfigFromArguments({ className, args = [], kwargs }: ConstructorArguments): EdmConfig {
  const where = 'edmConfigFromArguments';
  const known = className.slice(className.lastIndexOf('.') + 1);
  const precond = Object.hasOwn(preconditionings, known) ? preconditionings[known] : undefined;
  if (!precond) {
    throw new Error(`${where}: class is ${className}, expected one of ${Object.keys(preconditionings).join(', ')}`);
  }
  if (args.length > 0) throw new Error(`${where}: args has ${args.length} entries, expected arguments by name alone`);
  const type = String(kwargs.model_type ?? precond.network);
  const network = Object.hasOwn(networks, type) ? networks[type] : undefined;
  if (!network) throw new Error(`${where}: model_type is ${type}, expected one of ${Object.keys(networks).join(', ')}`);

  const names = { ...network, ...precond.names };
  const unknown = Object.keys(kwargs).filter((name) => !Object.hasOwn(names, name) && !ignored.includes(name));
  if (unknown.length > 0) throw new Error(`${where}: unknown argument ${unknown.join(', ')}`);
  const preconditioning = { ...precond.defaults, ...renamed(kwargs, precond.names) } as Preconditioning;
  const options = { ...renamed(kwargs, network), preconditioning };
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
  const kwargs = { model_type: type, ...named(config, networks[type]!), ...named(preconditioning, precond.names) };
  return { className, kwargs };
}

/** The arguments among `names`, under our names. */
const renamed = (kwargs: Readonly<Record<string, unknown>>, names: Names) =>
  Object.fromEntries(
    Object.entries(names)
      .filter(([theirs]) => Object.hasOwn(kwargs, theirs))
      .map(([theirs, ours]) => [ours, kwargs[theirs]]),
  );

/** Our values under the reference's names. */
const named = (values: object, names: Names) =>
  Object.fromEntries(
    Object.entries(names).map(([theirs, ours]) => [theirs, (values as Record<string, unknown>)[ours]]),
  );
