import { readJsonFixture } from '@cm/testing';
import { describe, expect, it } from 'vitest';
import { centerCropAdm, DatasetError, type Picture, resample } from '../src/index';
import { randomBytes } from './files';

interface Case {
  readonly seed: number;
  readonly height: number;
  readonly width: number;
  readonly result: string;
}
const pillow = readJsonFixture<{
  resized: (Case & { channels: number; filter: 'box' | 'bicubic'; size: [number, number] })[];
  cropped: (Case & { size: number })[];
}>(new URL('fixtures/pillow.json', import.meta.url));

const picture = ({ seed, height, width, channels = 3 }: Omit<Case, 'result'> & { channels?: number }): Picture => ({
  height,
  width,
  channels,
  pixels: randomBytes(seed, height * width * channels),
});
const bytes = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'));

describe('Pillow’s resizing, to the bit', () => {
  it.each(pillow.resized)('$filter, $width × $height × $channels to [$size]', ({ filter, size, result, ...image }) => {
    const resized = resample(picture(image), size, filter);
    expect(resized).toMatchObject({ height: size[0], width: size[1], channels: image.channels });
    expect(resized.pixels).toEqual(bytes(result));
  });

  it.each(pillow.cropped)('ADM’s crop, $width × $height to $size', ({ size, result, ...image }) => {
    expect(centerCropAdm(picture(image), size)).toEqual({
      height: size,
      width: size,
      channels: 3,
      pixels: bytes(result),
    });
  });

  it('leaves an image of the resolution as it is', () => {
    const image = picture({ seed: 3, height: 16, width: 16 });
    expect(centerCropAdm(image, 16)).toEqual(image);
  });

  it.each([0, 1.5, -1, Number.NaN])('refuses size %s', (size) => {
    const image = picture({ seed: 3, height: 4, width: 4 });
    expect(() => resample(image, [4, size], 'box')).toThrow(DatasetError);
    expect(() => centerCropAdm(image, size)).toThrow(DatasetError);
  });
});
