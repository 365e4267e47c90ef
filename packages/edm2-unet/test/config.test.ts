import { describe, expect, it } from 'vitest';
import { blocksOf, edm2Config, edm2Flops, edm2ParameterCount, edm2Preset } from '../src';

describe('a configuration', () => {
  it('has the defaults of EDM2', () => {
    expect(edm2Config({ resolution: 64 })).toMatchObject({
      modelChannels: 192,
      channelMult: [1, 2, 3, 4],
      numBlocks: 3,
      attnResolutions: [16, 8],
      resBalance: 0.3,
      sigmaData: 0.5,
    });
  });

  it.each([
    [{ resolution: 20 }, /resolution is 20, expected a multiple of 8, for 4 levels/],
    [{ resolution: 64, channelMult: [] }, /channelMult is \[\], expected at least one positive multiplier/],
    [{ resolution: 64, channels: 0 }, /channels is 0/],
    [{ resolution: 64, labelDim: 1 }, /labelDim is 1, expected 0 or a whole number, 2 or more/],
    [{ resolution: 64, labelBalance: 1.5 }, /labelBalance is 1.5, expected from 0 to 1/],
    [{ resolution: 64, dropout: 1 }, /dropout is 1, expected from 0 to below 1/],
    [{ resolution: 64, sigmaData: 0 }, /sigmaData is 0/],
    [{ resolution: 64, clipAct: -1 }, /clipAct is -1/],
    [{ resolution: 64, resampleFilter: [1, 2, 1] }, /resampleFilter is \[1,2,1\], expected an even number of taps/],
    [
      { resolution: 64, modelChannels: 24 },
      /channelsPerHead is 64, expected a divisor of unet\.enc\.16x16_block0's 72/,
    ],
    [{ resolution: 64, modelChanels: 24 }, /unknown option modelChanels/],
  ])('%j is refused', (options, message) => {
    expect(() => edm2Config(options)).toThrow(message);
  });
});

describe('blocks', () => {
  const blocks = blocksOf(
    edm2Config({
      resolution: 8,
      modelChannels: 8,
      channelMult: [1, 2],
      numBlocks: 1,
      attnResolutions: [4],
      channelsPerHead: 8,
    }),
  );

  it('go down through the encoder and up through the decoder', () => {
    expect(blocks.map(({ name }) => name)).toEqual([
      'unet.enc.8x8_block0',
      'unet.enc.4x4_down',
      'unet.enc.4x4_block0',
      'unet.dec.4x4_in0',
      'unet.dec.4x4_in1',
      'unet.dec.4x4_block0',
      'unet.dec.4x4_block1',
      'unet.dec.8x8_up',
      'unet.dec.8x8_block0',
      'unet.dec.8x8_block1',
    ]);
  });

  it('take up one skip connection each in the decoder, in reverse order', () => {
    const joined = blocks.filter(({ skip }) => skip).map(({ inChannels }) => inChannels);
    // 16 of the block below and 16, 8 of the 4 × 4 encoder; then 16 and 8, 8 and 8.
    expect(joined).toEqual([32, 24, 24, 16]);
  });

  it('have attention at its resolutions, and always in the innermost', () => {
    const attending = blocks.filter(({ attention }) => attention).map(({ name }) => name.slice('unet.'.length));
    expect(attending).toEqual(['enc.4x4_block0', 'dec.4x4_in0', 'dec.4x4_block0', 'dec.4x4_block1']);
  });
});

describe('the size of a network', () => {
  it('is that counted by hand', () => {
    // One level, one block, 2 × 2 pixels, 2 channels of features and 1 of images, one head.
    const config = edm2Config({
      resolution: 2,
      channels: 1,
      modelChannels: 2,
      channelMult: [1],
      numBlocks: 1,
      attnResolutions: [],
      channelsPerHead: 2,
      logvarChannels: 5,
    });
    const conv = 9;
    const encoder = { conv: conv * 2 * 2 + conv * 2 * 2, linear: 4 };
    const innermost = { conv: 2 * conv * 4 + 2 * 6 + 2 * 2, linear: 4 };
    const plain = { conv: 2 * conv * 4, linear: 4 };
    const joined = { conv: conv * 4 * 2 + conv * 4 + 4 * 2, linear: 4 };
    const blocks = [encoder, innermost, plain, joined, joined];
    const pixels = 4;
    const convolved = conv * 2 * 2 + blocks.reduce((sum, block) => sum + block.conv, 0) + conv * 2;
    const embedded = 4 + blocks.reduce((sum, block) => sum + block.linear, 0);
    const attended = 2 * pixels * pixels * 2;
    expect(edm2Flops(config)).toBe(2 * (convolved * pixels + embedded + attended));
    const gains = blocks.length + 1;
    expect(edm2ParameterCount(config)).toBe(convolved + embedded + gains + 5);
  });

  // Millions of parameters and billions of multiply-adds as EDM2 publishes them for ImageNet-512; its counts include element-wise work.
  it.each([
    ['XS', 125, 46],
    ['S', 280, 102],
    ['M', 498, 181],
    ['L', 777, 282],
    ['XL', 1119, 406],
    ['XXL', 1523, 552],
  ] as const)('%s is the published one', (size, millions, billions) => {
    const config = edm2Preset(size, 'imagenet512');
    expect(Math.abs(edm2ParameterCount(config) / 1e6 - millions)).toBeLessThan(0.6);
    const multiplyAdds = edm2Flops(config) / 2e9;
    expect(multiplyAdds).toBeLessThan(billions);
    expect(multiplyAdds).toBeGreaterThan(0.97 * billions);
  });

  // The same of the networks published for ImageNet-64.
  it.each([
    ['S', 280, 102],
    ['M', 498, 181],
    ['L', 777, 282],
    ['XL', 1119, 406],
  ] as const)('%s at ImageNet-64 is the published one', (size, millions, billions) => {
    const config = edm2Preset(size);
    expect(Math.abs(edm2ParameterCount(config) / 1e6 - millions)).toBeLessThan(0.6);
    const multiplyAdds = edm2Flops(config) / 2e9;
    expect(multiplyAdds).toBeLessThan(billions);
    expect(multiplyAdds).toBeGreaterThan(0.97 * billions);
  });

  it('at ImageNet-64 differs by the image channels alone', () => {
    const [pixels, latents] = [edm2Preset('S'), edm2Preset('S', 'imagenet512')];
    expect(edm2ParameterCount(latents) - edm2ParameterCount(pixels)).toBe(2 * 9 * 192);
  });
});
