import { type Edm2Config, edm2Config } from './config';

/** What a network of a published file was constructed with, as `@cm/checkpoints` gives it (`init` of an opened file). */
export interface ConstructorArguments {
  readonly className: string;
  readonly args?: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
}

/** Names of arguments in Python, and of the options that they are here. */
export type ArgumentNames = Readonly<Record<string, string>>;

/**
 * Options from arguments, under our names; those in `ignored` are left out.
 *
 * @throws Error naming every argument that is in neither
 */
export function optionsFromArguments(
  where: string,
  names: ArgumentNames,
  { args = [], kwargs }: ConstructorArguments,
  ignored: readonly string[] = [],
): Record<string, unknown> {
  if (args.length > 0) throw new Error(`${where}: args has ${args.length} entries, expected arguments by name alone`);
  const unknown = Object.keys(kwargs).filter((name) => !Object.hasOwn(names, name) && !ignored.includes(name));
  if (unknown.length > 0) throw new Error(`${where}: unknown argument ${unknown.join(', ')}`);
  const given = Object.entries(names).filter(([theirs]) => Object.hasOwn(kwargs, theirs));
  return Object.fromEntries(given.map(([theirs, ours]) => [ours, kwargs[theirs]]));
}

/** Options under the names of the arguments that they are in Python. */
export const argumentsFromOptions = (options: object, names: ArgumentNames): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(names).map(([theirs, ours]) => [theirs, (options as Record<string, unknown>)[ours]]),
  );

const published: ArgumentNames = {
  img_resolution: 'resolution',
  img_channels: 'channels',
  label_dim: 'labelDim',
  model_channels: 'modelChannels',
  channel_mult: 'channelMult',
  channel_mult_noise: 'channelMultNoise',
  channel_mult_emb: 'channelMultEmb',
  num_blocks: 'numBlocks',
  attn_resolutions: 'attnResolutions',
  channels_per_head: 'channelsPerHead',
  label_balance: 'labelBalance',
  concat_balance: 'concatBalance',
  res_balance: 'resBalance',
  attn_balance: 'attnBalance',
  clip_act: 'clipAct',
  resample_filter: 'resampleFilter',
  sigma_data: 'sigmaData',
  logvar_channels: 'logvarChannels',
  dropout: 'dropout',
};

/** ECT's argument, and one of ours: written where they are used alone, for NVIDIA's class does not know them. */
const additional: ArgumentNames = { dropout_res: 'dropoutMaxResolution', label_dropout: 'labelDropout' };

/**
 * The configuration of a network in a published file (NVIDIA's EDM2, ECT's), from the arguments that the file says it was constructed with.
 *
 * @param tensors the file's tensors by name: where they lack the uncertainty head, as ECT's do, so does the configuration
 * @throws Error naming a class or an argument that is not EDM2's, or a value that does not fit
 */
export function edm2ConfigFromArguments(
  init: ConstructorArguments,
  tensors?: Readonly<Record<string, unknown>>,
): Edm2Config {
  const where = 'edm2ConfigFromArguments';
  const { className } = init;
  if (className !== 'Precond' && !className.endsWith('.Precond')) {
    throw new Error(`${where}: class is ${className}, expected Precond`);
  }
  const options = optionsFromArguments(where, { ...published, ...additional }, init, ['use_fp16']);
  // Python has no clipping where we have it at infinity.
  if (options.clipAct === null) options.clipAct = Number.POSITIVE_INFINITY;
  if (tensors && !Object.hasOwn(tensors, 'logvar_linear.weight')) options.logvarChannels = 0;
  return edm2Config(options as Partial<Edm2Config> & Pick<Edm2Config, 'resolution'>);
}

/**
 * What the reference constructs the same network with: the inverse of {@link edm2ConfigFromArguments}. As JSON in a file's metadata, it is
 * enough to rebuild the network from, there and here.
 */
export function edm2Arguments(config: Edm2Config): { className: string; kwargs: Record<string, unknown> } {
  const kwargs = argumentsFromOptions(config, published);
  if (config.clipAct === Number.POSITIVE_INFINITY) kwargs.clip_act = null;
  if (config.dropoutMaxResolution !== null) kwargs.dropout_res = config.dropoutMaxResolution;
  if (config.labelDropout > 0) kwargs.label_dropout = config.labelDropout;
  return { className: 'Precond', kwargs };
}
