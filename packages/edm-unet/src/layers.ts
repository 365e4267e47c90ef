import { type EdmConfig, outputChannels } from './config';

/** A residual block. */
export interface BlockSpec {
  readonly type: 'block';
  /** Name under which the checkpoint has its parameters, such as `model.enc.16x16_block0`. */
  readonly name: string;
  readonly part: 'enc' | 'dec';
  /** Resolution that the block works at (after its resampling). */
  readonly resolution: number;
  readonly resample: 'keep' | 'down' | 'up';
  /** Channels that come in, a skip connection's included. */
  readonly inChannels: number;
  /** Channels that leave. */
  readonly channels: number;
  /** Heads of self-attention; 0: none. */
  readonly heads: number;
  /** Whether a skip connection is concatenated to the input. */
  readonly skip: boolean;
}

/** Any other layer: of the main path (`conv`, `out`) or of the pyramid of images beside it (`aux…`). */
export interface LayerSpec {
  readonly type: 'conv' | 'auxDown' | 'auxSkip' | 'auxResidual' | 'auxUp' | 'out';
  readonly name: string;
  /** Of `out`: its normalisation. */
  readonly norm?: string;
  readonly resolution: number;
  readonly inChannels: number;
  readonly channels: number;
}

export type Layer = BlockSpec | LayerSpec;

/** Channels of a layer's normalisations. */
export function normalisedChannels(layer: Layer): number[] {
  if (layer.type === 'block') return [layer.inChannels, layer.channels];
  return layer.type === 'out' ? [layer.inChannels] : [];
}

/** ADM's attention has heads of 64 channels each, DDPM++'s one head; a layer of fewer channels than a head has none. */
const headsOf = (config: EdmConfig, channels: number) =>
  config.architecture === 'song' ? 1 : Math.floor(channels / 64);

/** The layers in the order in which they run: encoder, decoder, output. */
export function layersOf(config: EdmConfig): Layer[] {
  const { resolution, channels, modelChannels, channelMult, numBlocks, attnResolutions } = config;
  const song = config.architecture === 'song' ? config : null;
  const layers: Layer[] = [];
  const last = channelMult.length - 1;
  const images = outputChannels(config);
  const skips: number[] = [];
  // Channels of the main path, and of the encoder's pyramid.
  let width = song ? modelChannels : modelChannels * channelMult[0]!;
  let pyramid = channels;

  const nameOf = (part: 'enc' | 'dec', level: number, suffix: string) => {
    const res = resolution >> level;
    return { name: `model.${part}.${res}x${res}_${suffix}`, resolution: res };
  };
  const block = (
    part: 'enc' | 'dec',
    level: number,
    suffix: string,
    { to = width, resample = 'keep', attention = false, skip = 0 }: Partial<BlockOptions>,
  ) => {
    layers.push({
      type: 'block',
      ...nameOf(part, level, suffix),
      part,
      resample,
      inChannels: width + skip,
      channels: to,
      heads: attention ? headsOf(config, to) : 0,
      skip: skip > 0,
    });
    width = to;
    if (part === 'enc') skips.push(width);
  };
  const layer = (spec: LayerSpec) => layers.push(spec);

  layer({ type: 'conv', ...nameOf('enc', 0, 'conv'), inChannels: channels, channels: width });
  skips.push(width);
  for (let level = 0; level <= last; level++) {
    const attention = attnResolutions.includes(resolution >> level);
    if (level > 0) {
      block('enc', level, 'down', { resample: 'down' });
      const from = { inChannels: pyramid };
      if (song?.encoder === 'skip') {
        layer({ type: 'auxDown', ...nameOf('enc', level, 'aux_down'), ...from, channels: pyramid });
        layer({ type: 'auxSkip', ...nameOf('enc', level, 'aux_skip'), ...from, channels: width });
      }
      if (song?.encoder === 'residual') {
        layer({ type: 'auxResidual', ...nameOf('enc', level, 'aux_residual'), ...from, channels: width });
        pyramid = width;
      }
    }
    for (let i = 0; i < numBlocks; i++) {
      block('enc', level, `block${i}`, { to: modelChannels * channelMult[level]!, attention });
    }
  }
  for (let level = last; level >= 0; level--) {
    const attention = attnResolutions.includes(resolution >> level);
    if (level === last) {
      block('dec', level, 'in0', { attention: true });
      block('dec', level, 'in1', {});
    } else {
      block('dec', level, 'up', { resample: 'up' });
    }
    for (let i = 0; i <= numBlocks; i++) {
      // DDPM++'s decoder attends once a level, at its end.
      const attends = attention && (!song || i === numBlocks);
      const to = modelChannels * channelMult[level]!;
      block('dec', level, `block${i}`, { to, attention: attends, skip: skips.pop()! });
    }
    if (!song || (song.decoder !== 'skip' && level > 0)) continue;
    if (song.decoder === 'skip' && level < last) {
      layer({ type: 'auxUp', ...nameOf('dec', level, 'aux_up'), inChannels: images, channels: images });
    }
    const norm = nameOf('dec', level, 'aux_norm').name;
    layer({ type: 'out', ...nameOf('dec', level, 'aux_conv'), norm, inChannels: width, channels: images });
  }
  if (!song) {
    layer({
      type: 'out',
      name: 'model.out_conv',
      norm: 'model.out_norm',
      resolution,
      inChannels: width,
      channels: images,
    });
  }
  return layers;
}

interface BlockOptions {
  readonly to: number;
  readonly resample: BlockSpec['resample'];
  readonly attention: boolean;
  /** Channels of the skip connection that is concatenated; 0: none. */
  readonly skip: number;
}
