import { describe, expect, it } from 'vitest';
import { edm2Arguments, edm2Config, edm2ConfigFromArguments, edm2ParameterCount, edm2Preset } from '../src';

/** As in the published `edm2-img64-s`. */
const small = { img_resolution: 64, img_channels: 3, label_dim: 1000, use_fp16: true, model_channels: 192, dropout: 0 };

describe('constructor arguments', () => {
  it('of a published file give its preset', () => {
    expect(edm2ConfigFromArguments({ className: 'Precond', kwargs: small })).toEqual(edm2Preset('S'));
    const latents = { ...small, img_channels: 4, model_channels: 448, sigma_data: 0.5, dropout: 0.1 };
    expect(edm2ConfigFromArguments({ className: 'training.networks_edm2.Precond', kwargs: latents })).toEqual({
      ...edm2Preset('XXL', 'imagenet512'),
      dropout: 0.1,
    });
  });

  it('of ECT’s files limit dropout to low resolutions; their tensors say that there is no uncertainty head', () => {
    const kwargs = { ...small, dropout: 0.4, dropout_res: 16 };
    const config = edm2ConfigFromArguments({ className: 'Precond', kwargs }, { 'unet.out_gain': 0 });
    expect(config).toEqual({ ...edm2Preset('S'), dropout: 0.4, dropoutMaxResolution: 16, logvarChannels: 0 });
    expect(edm2ParameterCount(edm2Preset('S')) - edm2ParameterCount(config)).toBe(128);
    const whole = { 'logvar_linear.weight': 0 };
    expect(edm2ConfigFromArguments({ className: 'Precond', kwargs }, whole).logvarChannels).toBe(128);
  });

  it('as JSON rebuild any network', () => {
    for (const config of [
      edm2Preset('L'),
      edm2Config({
        resolution: 16,
        channelMult: [1, 2],
        resampleFilter: [1, 3, 3, 1],
        clipAct: Number.POSITIVE_INFINITY,
        dropoutMaxResolution: 8,
        labelDropout: 0.1,
        labelDim: 5,
      }),
    ]) {
      expect(edm2ConfigFromArguments(JSON.parse(JSON.stringify(edm2Arguments(config))))).toEqual(config);
    }
  });

  it('are those that NVIDIA’s class knows, where nothing of ours is used', () => {
    expect(Object.keys(edm2Arguments(edm2Preset('S')).kwargs)).not.toContain('dropout_res');
    expect(Object.keys(edm2Arguments(edm2Preset('S')).kwargs)).not.toContain('label_dropout');
  });

  it.each([
    ['EDMPrecond', {}, [], /class is EDMPrecond, expected Precond/],
    ['Precond', { ...small, depth: 3 }, [], /unknown argument depth/],
    ['Precond', small, [64], /args has 1 entries, expected arguments by name alone/],
    ['Precond', { img_channels: 3 }, [], /resolution is undefined/],
  ])('%s(%j, %j) are refused', (className, kwargs, args, message) => {
    expect(() => edm2ConfigFromArguments({ className, kwargs, args })).toThrow(message);
  });
});
