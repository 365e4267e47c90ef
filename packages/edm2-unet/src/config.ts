/** What an EDM2 network is built from, in EDM2's vocabulary. */
export interface Edm2Config {
  /** Height and width of the images in pixels, a multiple of 2^(levels − 1). */
  readonly resolution: number;
  /** Image channels. */
  readonly channels: number;
  /** Number of classes; 0 for an unconditional network. */
  readonly labelDim: number;
  /** Channels that the multipliers multiply. */
  readonly modelChannels: number;
  /** Channels of each resolution level, in units of `modelChannels`. */
  readonly channelMult: readonly number[];
  /** Channels of the Fourier features of the noise level, in units of `modelChannels`; null: those of the first level. */
  readonly channelMultNoise: number | null;
  /** Channels of the embedding, in units of `modelChannels`; null: the most that any level has. */
  readonly channelMultEmb: number | null;
  /** Residual blocks a level in the encoder; the decoder has one more. */
  readonly numBlocks: number;
  /** Resolutions at which blocks have self-attention; the innermost block has it always. */
  readonly attnResolutions: readonly number[];
  /** Channels of one attention head. */
  readonly channelsPerHead: number;
  /** Weight of the label embedding against that of the noise level, 0 to 1. */
  readonly labelBalance: number;
  /** Weight of skip connections against the main path in concatenations, 0 to 1. */
  readonly concatBalance: number;
  /** Weight of a block's residual branch, 0 to 1. */
  readonly resBalance: number;
  /** Weight of the attention branch, 0 to 1. */
  readonly attnBalance: number;
  /** Bound on the magnitude of activations after each block. */
  readonly clipAct: number;
  /** Separable filter of resampling, of even length. */
  readonly resampleFilter: readonly number[];
  /** Standard deviation of the data, σ_data. */
  readonly sigmaData: number;
  /** Channels of the uncertainty head's Fourier features; 0: no such head, as in ECT's files. */
  readonly logvarChannels: number;
  /** Probability with which an activation inside a block is dropped in training, where dropout is asked for. */
  readonly dropout: number;
  /** Blocks at resolutions above this have no dropout; null: all have. ECT's ImageNet recipes use 16. */
  readonly dropoutMaxResolution: number | null;
  /** Probability with which a row loses its class in training, for classifier-free guidance, where dropout is asked for. */
  readonly labelDropout: number;
}

const defaults = {
  channels: 3,
  labelDim: 0,
  modelChannels: 192,
  channelMult: [1, 2, 3, 4],
  channelMultNoise: null,
  channelMultEmb: null,
  numBlocks: 3,
  attnResolutions: [16, 8],
  channelsPerHead: 64,
  labelBalance: 0.5,
  concatBalance: 0.5,
  resBalance: 0.3,
  attnBalance: 0.3,
  clipAct: 256,
  resampleFilter: [1, 1],
  sigmaData: 0.5,
  logvarChannels: 128,
  dropout: 0,
  dropoutMaxResolution: null,
  labelDropout: 0,
} as const satisfies Omit<Edm2Config, 'resolution'>;

/**
 * A checked, complete configuration. Defaults are those of EDM2's networks: 192 channels, multipliers 1, 2, 3, 4, three
 * blocks a level, attention at 16 and 8 with 64 channels a head, balances 0.5 (labels, concatenation) and 0.3
 * (residual, attention), activations clipped at 256, σ_data 0.5, no labels, no dropout.
 *
 * @throws Error naming the option, what was expected and what came.
 *
 * @example
 * ```ts
 * import { edm2Config, edm2ParameterCount } from '@cm/edm2-unet';
 *
 * const config = edm2Config({ resolution: 16, channels: 1, modelChannels: 16, channelMult: [1, 2], numBlocks: 1, channelsPerHead: 16 });
 * console.log(edm2ParameterCount(config)); // 183867
 * ```
 */
export function edm2Config(options: Partial<Edm2Config> & Pick<Edm2Config, 'resolution'>): Edm2Config {
  const unknown = Object.keys(options).filter((name) => name !== 'resolution' && !Object.hasOwn(defaults, name));
  if (unknown.length > 0) throw new Error(`edm2Config: unknown option ${unknown.join(', ')}`);
  const config: Edm2Config = { ...defaults, ...options };
  const { resolution, channelMult, channelsPerHead, resampleFilter } = config;

  const check = (name: keyof Edm2Config, valid: boolean, expected: string) => {
    if (!valid) throw new Error(`edm2Config: ${name} is ${JSON.stringify(config[name])}, expected ${expected}`);
  };
  const whole = (value: number, from: number) => Number.isInteger(value) && value >= from;
  const share = (value: number) => value >= 0 && value <= 1;

  check('channelMult', channelMult.length > 0 && channelMult.every((m) => m > 0), 'at least one positive multiplier');
  const step = 2 ** (channelMult.length - 1);
  check(
    'resolution',
    whole(resolution, 1) && resolution % step === 0,
    `a multiple of ${step}, for ${channelMult.length} levels`,
  );
  for (const name of ['channels', 'modelChannels', 'numBlocks', 'channelsPerHead'] as const) {
    check(name, whole(config[name], 1), 'a whole number, 1 or more');
  }
  check('logvarChannels', whole(config.logvarChannels, 0), 'a whole number');
  check('labelDim', config.labelDim === 0 || whole(config.labelDim, 2), '0 or a whole number, 2 or more');
  for (const name of ['labelBalance', 'concatBalance', 'resBalance', 'attnBalance'] as const) {
    check(name, share(config[name]), 'from 0 to 1');
  }
  for (const name of ['dropout', 'labelDropout'] as const) {
    check(name, config[name] >= 0 && config[name] < 1, 'from 0 to below 1');
  }
  check('sigmaData', config.sigmaData > 0, 'above 0');
  check('clipAct', config.clipAct > 0, 'above 0');
  check('resampleFilter', resampleFilter.length > 0 && resampleFilter.length % 2 === 0, 'an even number of taps');
  for (const { channels, attention, name } of blocksOf(config)) {
    if (attention && channels % channelsPerHead !== 0) {
      throw new Error(
        `edm2Config: channelsPerHead is ${channelsPerHead}, expected a divisor of ${name}'s ${channels} channels`,
      );
    }
  }
  return config;
}

/** One block of the network. */
export interface BlockSpec {
  /** Name under which the checkpoint has its parameters, such as `unet.enc.16x16_block0`. */
  readonly name: string;
  readonly flavor: 'enc' | 'dec';
  /** Resolution that the block works at (after its resampling). */
  readonly resolution: number;
  readonly resample: 'keep' | 'down' | 'up';
  /** Channels that come in, a skip connection's included. */
  readonly inChannels: number;
  /** Channels that leave. */
  readonly channels: number;
  readonly attention: boolean;
  /** Whether a skip connection is concatenated to the input. */
  readonly skip: boolean;
}

/** Channels of embedding and of the noise level's Fourier features. */
export function embeddingChannels({ modelChannels, channelMult, channelMultNoise, channelMultEmb }: Edm2Config) {
  return {
    noise: Math.round(modelChannels * (channelMultNoise ?? channelMult[0]!)),
    embedding: Math.round(modelChannels * (channelMultEmb ?? Math.max(...channelMult))),
  };
}

/** The blocks in the order in which they run, encoder then decoder; the first convolution is not among them. */
export function blocksOf({
  resolution,
  modelChannels,
  channelMult,
  numBlocks,
  attnResolutions,
}: Edm2Config): BlockSpec[] {
  const blocks: BlockSpec[] = [];
  const channelsAt = channelMult.map((mult) => Math.round(modelChannels * mult));
  const last = channelMult.length - 1;
  let cout = channelsAt[0]!;
  const skips = [cout];

  const add = (
    part: 'enc' | 'dec',
    res: number,
    suffix: string,
    spec: Omit<BlockSpec, 'name' | 'flavor' | 'resolution'>,
  ) => {
    blocks.push({ name: `unet.${part}.${res}x${res}_${suffix}`, flavor: part, resolution: res, ...spec });
    cout = spec.channels;
  };
  const plain = (resample: BlockSpec['resample'], attention: boolean) => ({
    resample,
    inChannels: cout,
    channels: cout,
    attention,
    skip: false,
  });

  for (let level = 0; level <= last; level++) {
    const res = resolution >> level;
    if (level > 0) {
      add('enc', res, 'down', plain('down', false));
      skips.push(cout);
    }
    for (let i = 0; i < numBlocks; i++) {
      const attention = attnResolutions.includes(res);
      add('enc', res, `block${i}`, { ...plain('keep', attention), channels: channelsAt[level]! });
      skips.push(cout);
    }
  }
  for (let level = last; level >= 0; level--) {
    const res = resolution >> level;
    if (level === last) {
      add('dec', res, 'in0', plain('keep', true));
      add('dec', res, 'in1', plain('keep', false));
    } else {
      add('dec', res, 'up', plain('up', false));
    }
    for (let i = 0; i <= numBlocks; i++) {
      const inChannels = cout + skips.pop()!;
      const attention = attnResolutions.includes(res);
      add('dec', res, `block${i}`, {
        resample: 'keep',
        inChannels,
        channels: channelsAt[level]!,
        attention,
        skip: true,
      });
    }
  }
  return blocks;
}
