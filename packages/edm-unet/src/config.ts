import { layersOf, normalisedChannels } from './layers';

/** How the raw network becomes a denoiser D(x, σ) = c_skip·x + c_out·F(c_in·x, c_noise) (EDM, Karras et al. 2022, Table 1). */
export type Preconditioning =
  /** EDM's own. `sigmaData` is the standard deviation of the data. */
  | { readonly kind: 'edm'; readonly sigmaData: number }
  /** That of ECT's networks (arXiv 2406.14548) when they are evaluated; they are trained with `edm`. */
  | { readonly kind: 'ecm'; readonly sigmaData: number; readonly sigmaMin: number }
  /** Variance preserving: β(t) = betaMin + betaD·t, `timesteps` M of the noise condition, noise levels from t = epsilonT to 1. */
  | {
      readonly kind: 'vp';
      readonly betaD: number;
      readonly betaMin: number;
      readonly timesteps: number;
      readonly epsilonT: number;
    }
  /** Variance exploding, for noise levels from `sigmaMin` to `sigmaMax`. */
  | { readonly kind: 've'; readonly sigmaMin: number; readonly sigmaMax: number }
  /** Improved DDPM: `timesteps` M noise levels by a cosine schedule with adjustments `c1`, `c2`. */
  | { readonly kind: 'iddpm'; readonly c1: number; readonly c2: number; readonly timesteps: number };

/** What both families of networks are built from. */
interface Common {
  /** Height and width of the images in pixels, a multiple of 2^(levels − 1). */
  readonly resolution: number;
  /** Image channels. */
  readonly channels: number;
  /** Number of classes; 0 for an unconditional network. */
  readonly labelDim: number;
  /** Number of augmentation parameters that the network is told; 0 for none. */
  readonly augmentDim: number;
  /** Channels that the multipliers multiply. */
  readonly modelChannels: number;
  /** Channels of each resolution level, in units of `modelChannels`. */
  readonly channelMult: readonly number[];
  /** Channels of the embedding, in units of `modelChannels`. */
  readonly channelMultEmb: number;
  /** Residual blocks a level in the encoder; the decoder has one more. */
  readonly numBlocks: number;
  /** Resolutions at which blocks have self-attention; the innermost block has it always. */
  readonly attnResolutions: readonly number[];
  /** Probability with which an activation inside a block is dropped in training, where dropout is asked for. */
  readonly dropout: number;
  /** Probability with which a row loses its class in training, for classifier-free guidance, where dropout is asked for. */
  readonly labelDropout: number;
  readonly preconditioning: Preconditioning;
}

/** DDPM++ and NCSN++ (Song et al., arXiv 2011.13456), as EDM configures them. */
export interface SongUNetConfig extends Common {
  readonly architecture: 'song';
  /** Features of the noise level: sines at fixed frequencies (DDPM++) or at random ones (NCSN++). */
  readonly embedding: 'positional' | 'fourier';
  /** Channels of those features, in units of `modelChannels`. */
  readonly channelMultNoise: number;
  /** How the encoder is told of the image at lower resolutions: not, by a 1 × 1 convolution of it, or by a residual pyramid (NCSN++). */
  readonly encoder: 'standard' | 'skip' | 'residual';
  /** Whether the image comes from the last level alone or is the sum of every level's, upsampled. */
  readonly decoder: 'standard' | 'skip';
  /** Separable filter of resampling, of an even number of taps: [1, 1] for DDPM++, [1, 3, 3, 1] for NCSN++. */
  readonly resampleFilter: readonly number[];
}

/** ADM (Dhariwal and Nichol, arXiv 2105.05233), as EDM configures it. */
export interface DhariwalUNetConfig extends Common {
  readonly architecture: 'dhariwal';
}

/** A network of EDM's and its preconditioning. Plain data. */
export type EdmConfig = SongUNetConfig | DhariwalUNetConfig;

const common = {
  channels: 3,
  labelDim: 0,
  augmentDim: 0,
  channelMultEmb: 4,
  dropout: 0.1,
  labelDropout: 0,
  preconditioning: { kind: 'edm', sigmaData: 0.5 },
} as const;

const songDefaults: Omit<SongUNetConfig, 'resolution'> = {
  ...common,
  architecture: 'song',
  modelChannels: 128,
  channelMult: [1, 2, 2, 2],
  numBlocks: 4,
  attnResolutions: [16],
  embedding: 'positional',
  channelMultNoise: 1,
  encoder: 'standard',
  decoder: 'standard',
  resampleFilter: [1, 1],
};

const dhariwalDefaults: Omit<DhariwalUNetConfig, 'resolution'> = {
  ...common,
  architecture: 'dhariwal',
  modelChannels: 192,
  channelMult: [1, 2, 3, 4],
  numBlocks: 3,
  attnResolutions: [32, 16, 8],
};

/** Options of a configuration: what differs from the defaults. */
export type Options<Config extends EdmConfig> = Partial<Omit<Config, 'architecture'>> & Pick<Config, 'resolution'>;

/**
 * A checked, complete configuration of DDPM++ or NCSN++. Defaults are the reference's: DDPM++ with 128 channels, multipliers 1, 2, 2, 2, four
 * blocks a level, attention at 16, dropout 0.1, EDM's preconditioning with σ_data 0.5.
 *
 * @throws Error naming the option, what was expected and what came
 *
 * @example
 * ```ts
 * import { edmParameterCount, songUNetConfig } from '@cm/edm-unet';
 *
 * const config = songUNetConfig({ resolution: 8, modelChannels: 16, channelMult: [1, 2], numBlocks: 1, attnResolutions: [] });
 * console.log(edmParameterCount(config)); // 180771
 * ```
 */
export function songUNetConfig(options: Options<SongUNetConfig>): SongUNetConfig {
  return checked('songUNetConfig', songDefaults, options);
}

/**
 * A checked, complete configuration of ADM. Defaults are the reference's: 192 channels, multipliers 1, 2, 3, 4, three blocks a level,
 * attention at 32, 16 and 8 with 64 channels a head, dropout 0.1, EDM's preconditioning with σ_data 0.5.
 *
 * @throws Error naming the option, what was expected and what came
 */
export function dhariwalUNetConfig(options: Options<DhariwalUNetConfig>): DhariwalUNetConfig {
  return checked('dhariwalUNetConfig', dhariwalDefaults, options);
}

function checked<Config extends EdmConfig>(
  where: string,
  defaults: Omit<Config, 'resolution'>,
  options: Options<Config>,
): Config {
  const unknown = Object.keys(options).filter((name) => name !== 'resolution' && !Object.hasOwn(defaults, name));
  if (unknown.length > 0) throw new Error(`${where}: unknown option ${unknown.join(', ')}`);
  const config = { ...defaults, ...options } as Config;
  check(where, config);
  return config;
}

function check(where: string, config: EdmConfig): void {
  const expect = (name: string, valid: boolean, expected: string) => {
    const value = JSON.stringify((config as unknown as Record<string, unknown>)[name]);
    if (!valid) throw new Error(`${where}: ${name} is ${value}, expected ${expected}`);
  };
  const whole = (value: unknown, from: number) => Number.isInteger(value) && (value as number) >= from;
  const numbers = (value: unknown, valid: (number: number) => boolean) =>
    Array.isArray(value) && value.every((number) => typeof number === 'number' && valid(number));

  const { channelMult } = config;
  expect(
    'channelMult',
    numbers(channelMult, (mult) => whole(mult, 1)) && channelMult.length > 0,
    'at least one whole multiplier, 1 or more',
  );
  const step = 2 ** (channelMult.length - 1);
  expect(
    'resolution',
    whole(config.resolution, 1) && config.resolution % step === 0,
    `a multiple of ${step}, for ${channelMult.length} levels`,
  );
  for (const name of ['channels', 'numBlocks', 'channelMultEmb'] as const) {
    expect(name, whole(config[name], 1), 'a whole number, 1 or more');
  }
  expect('modelChannels', whole(config.modelChannels, 2) && config.modelChannels % 2 === 0, 'an even number');
  for (const name of ['labelDim', 'augmentDim'] as const) expect(name, whole(config[name], 0), 'a whole number');
  expect(
    'attnResolutions',
    numbers(config.attnResolutions, (resolution) => whole(resolution, 1)),
    'resolutions',
  );
  for (const name of ['dropout', 'labelDropout'] as const) {
    expect(name, config[name] >= 0 && config[name] < 1, 'from 0 to below 1');
  }
  if (config.architecture === 'song') {
    expect('embedding', ['positional', 'fourier'].includes(config.embedding), "'positional' or 'fourier'");
    expect('encoder', ['standard', 'skip', 'residual'].includes(config.encoder), "'standard', 'skip' or 'residual'");
    expect('decoder', ['standard', 'skip'].includes(config.decoder), "'standard' or 'skip'");
    expect('channelMultNoise', whole(config.channelMultNoise, 1), 'a whole number, 1 or more');
    const { resampleFilter } = config;
    const even =
      numbers(resampleFilter, Number.isFinite) && resampleFilter.length > 0 && resampleFilter.length % 2 === 0;
    expect('resampleFilter', even, 'an even number of taps');
  }
  const positive = Object.values(config.preconditioning).every((value) => typeof value === 'string' || value > 0);
  expect('preconditioning', positive, 'numbers above 0');
  for (const layer of layersOf(config)) {
    for (const channels of normalisedChannels(layer)) {
      if (channels % groupsOf(channels) === 0) continue;
      throw new Error(
        `${where}: ${layer.name} normalises ${channels} channels, expected a multiple of their ${groupsOf(channels)} groups`,
      );
    }
  }
}

/** Groups of a normalisation: 32, or fewer where they would have under four channels. */
export const groupsOf = (channels: number): number => Math.max(1, Math.min(32, Math.floor(channels / 4)));

/** Channels of the embedding, and of the features of the noise level that it is made of. */
export function embeddingChannels(config: EdmConfig): { readonly noise: number; readonly embedding: number } {
  const noise = config.modelChannels * (config.architecture === 'song' ? config.channelMultNoise : 1);
  return { noise, embedding: config.modelChannels * config.channelMultEmb };
}

/** Channels that leave the raw network: those of images, twice for improved DDPM, which predicts a variance too. */
export const outputChannels = ({ channels, preconditioning }: EdmConfig): number =>
  preconditioning.kind === 'iddpm' ? 2 * channels : channels;
