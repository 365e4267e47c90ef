import { describe, expect, it } from 'vitest';
import {
  checkpointShapes,
  dhariwalUNetConfig,
  edmArguments,
  edmConfigFromArguments,
  edmFlops,
  edmParameterCount,
  edmPresets,
  songUNetConfig,
} from '../src';

describe('a configuration', () => {
  it.each([
    [{ resolution: 20 }, /resolution is 20, expected a multiple of 8, for 4 levels/],
    [{ resolution: 64, channelMult: [] }, /channelMult is \[\], expected at least one whole multiplier/],
    [{ resolution: 64, channels: 0 }, /channels is 0, expected a whole number, 1 or more/],
    [{ resolution: 64, modelChannels: 33 }, /modelChannels is 33, expected an even number/],
    [{ resolution: 64, dropout: 1 }, /dropout is 1, expected from 0 to below 1/],
    [{ resolution: 64, encoder: 'none' as 'skip' }, /encoder is "none", expected 'standard', 'skip' or 'residual'/],
    [{ resolution: 64, resampleFilter: [1, 2, 1] }, /resampleFilter is \[1,2,1\], expected an even number of taps/],
    [{ resolution: 64, preconditioning: { kind: 'edm', sigmaData: 0 } as const }, /preconditioning .* numbers above 0/],
    [
      { resolution: 8, modelChannels: 14 },
      /model\.enc\.8x8_block0 normalises 14 channels, expected a multiple of their 3 groups/,
    ],
    [{ resolution: 64, modelChanels: 24 }, /unknown option modelChanels/],
  ])('%j is refused', (options, message) => {
    expect(() => songUNetConfig(options)).toThrow(message);
  });

  it('is ADM’s with what DDPM++ has alone refused', () => {
    expect(dhariwalUNetConfig({ resolution: 64 })).toMatchObject({ architecture: 'dhariwal', modelChannels: 192 });
    expect(() => dhariwalUNetConfig({ resolution: 64, encoder: 'skip' } as { resolution: 64 })).toThrow(
      /dhariwalUNetConfig: unknown option encoder/,
    );
  });
});

describe('the size of a published network', () => {
  // Parameters and tensors of the reference's state dictionaries.
  it.each([
    ['cifar10-uncond-ddpmpp', 55_733_891, 425],
    ['cifar10-cond-ddpmpp', 55_735_299, 427],
    ['cifar10-uncond-ncsnpp', 56_397_827, 432],
    ['cifar10-cond-ncsnpp', 56_400_643, 434],
    ['ffhq64-ddpmpp', 61_805_571, 553],
    ['ffhq64-ncsnpp', 62_761_091, 563],
    ['afhqv2-64-ddpmpp', 61_805_571, 553],
    ['afhqv2-64-ncsnpp', 62_761_091, 563],
    ['imagenet64-cond-adm', 295_899_267, 553],
  ] as const)('%s has the reference’s parameters', (name, parameters, tensors) => {
    const config = edmPresets[name];
    expect(edmParameterCount(config)).toBe(parameters);
    const { required, optional } = checkpointShapes(config);
    expect(Object.keys(required).length + Object.keys(optional).length).toBe(tensors);
  });

  it('in operations is that counted by hand', () => {
    // One level, one block, 2 × 2 pixels, 4 channels: 16 of the embedding, attention in the innermost block alone.
    const config = songUNetConfig({
      resolution: 2,
      channels: 1,
      modelChannels: 4,
      channelMult: [1],
      numBlocks: 1,
      attnResolutions: [],
    });
    const conv = 9 * 4 * 4;
    const plain = 2 * conv;
    const joined = 9 * 8 * 4 + conv + 8 * 4;
    const attention = 4 * 12 + 4 * 4;
    const atPixels = 9 * 4 + plain + (plain + attention) + plain + 2 * joined + 9 * 4;
    const linear = 4 * 16 + 16 * 16 + 5 * 16 * 4;
    expect(edmFlops(config)).toBe(2 * (4 * atPixels + linear + 2 * 4 * 4 * 4));
  });
});

describe('constructor arguments', () => {
  it('rebuild every published network', () => {
    for (const config of Object.values(edmPresets)) {
      expect(edmConfigFromArguments(JSON.parse(JSON.stringify(edmArguments(config))))).toEqual(config);
    }
  });

  it('of a published file give its preset', () => {
    const kwargs = {
      img_resolution: 32,
      img_channels: 3,
      label_dim: 10,
      use_fp16: true,
      model_type: 'SongUNet',
      augment_dim: 9,
      model_channels: 128,
      channel_mult: [2, 2, 2],
      embedding_type: 'positional',
      encoder_type: 'standard',
      decoder_type: 'standard',
      channel_mult_noise: 1,
      resample_filter: [1, 1],
      dropout: 0.13,
    };
    const config = edmConfigFromArguments({ className: 'training.networks.EDMPrecond', kwargs });
    expect(config).toEqual(edmPresets['cifar10-cond-ddpmpp']);
    expect(edmConfigFromArguments({ className: 'ECMPrecond', kwargs }).preconditioning.kind).toBe('ecm');
  });

  it.each([
    ['Precond', {}, [], /class is Precond, expected one of EDMPrecond, ECMPrecond/],
    ['EDMPrecond', { model_type: 'DiT' }, [], /model_type is DiT, expected one of SongUNet, DhariwalUNet/],
    ['EDMPrecond', { img_resolution: 8, depth: 3, heads: 2 }, [], /unknown argument depth, heads/],
    ['EDMPrecond', { img_resolution: 8 }, [32], /args has 1 entries/],
    ['EDMPrecond', { img_channels: 3 }, [], /resolution is undefined/],
    ['VPPrecond', { img_resolution: 8, num_blocks: 'four' }, [], /numBlocks is "four"/],
  ])('%s(%j, %j) are refused', (className, kwargs, args, message) => {
    expect(() => edmConfigFromArguments({ className, kwargs, args })).toThrow(message);
  });
});
