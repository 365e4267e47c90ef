import { readJsonFixture } from '@cm/testing';
import fc from 'fast-check';
import { encode } from 'fast-png';
import { describe, expect, it } from 'vitest';
import { DatasetError } from '../src/index';
import { decodeImage } from '../src/node';

/** Files that Pillow wrote, with the pixels that it reads. */
const { files } = readJsonFixture<{
  files: Record<string, { file: string; rgb: string; height: number; width: number }>;
}>(new URL('../../fid/test/fixtures/pillow.json', import.meta.url));
const cmyk = readJsonFixture<{ file: string; rgb: string }>(new URL('fixtures/cmyk.json', import.meta.url));
const bytes = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'));

describe('an image', () => {
  it.each(Object.keys(files))('%s has the pixels that Pillow reads, bit for bit', async (name) => {
    const { file, rgb, height, width } = files[name]!;
    expect(await decodeImage(name, bytes(file))).toEqual({ height, width, rgb: bytes(rgb) });
  });

  it('of four inks has the colours that Pillow gives, within two levels', async () => {
    const { height, width, rgb } = await decodeImage('inks.jpg', bytes(cmyk.file));
    expect([height, width]).toEqual([16, 16]);
    const expected = bytes(cmyk.rgb);
    expect(Math.max(...rgb.map((value, i) => Math.abs(value - expected[i]!)))).toBeLessThanOrEqual(2);
  });

  const png = encode({ width: 3, height: 2, channels: 3, depth: 8, data: new Uint8Array(18) });
  const vast = Uint8Array.from(png);
  new DataView(vast.buffer).setUint32(16, 2 ** 30);
  it.each<[string, Uint8Array, RegExp]>([
    ['text', new TextEncoder().encode('hello'), /begins with 68 65 6c 6c, expected a PNG or JPEG file/],
    ['nothing', new Uint8Array(), /begins with nothing/],
    ['a PNG that is cut', png.subarray(0, 50), /x: /],
    ['a PNG of no more than a header', png.subarray(0, 20), /is cut off within its header/],
    ['a PNG that claims to be vast', vast, /says to be 1073741824 × 2, expected at most 67108864 pixels/],
    ['a PNG with a bit changed', png.map((byte, i) => (i === 45 ? byte ^ 1 : byte)), /x: /],
    ['a JPEG that is cut', bytes(files['full.jpg']!.file).subarray(0, 500), /x: /],
    ['a JPEG of four inks that is cut', bytes(cmyk.file).subarray(0, 700), /x: /],
    ['no more than a JPEG’s beginning', Uint8Array.of(0xff, 0xd8, 0xff), /x: /],
  ])('%s is refused by its name', async (_, file, message) => {
    await expect(decodeImage('x', file)).rejects.toThrow(DatasetError);
    await expect(decodeImage('x', file)).rejects.toThrow(message);
  });

  const full = bytes(files['full.jpg']!.file);
  it('that is damaged in any way changes nothing for those that come after', async () => {
    const vastJpeg = Uint8Array.from(full);
    const frame = Buffer.from(full).indexOf(Buffer.of(0xff, 0xc0));
    vastJpeg.fill(0xff, frame + 5, frame + 9);
    await expect(decodeImage('x', vastJpeg)).rejects.toThrow('x: says to be 65535 × 65535, expected at most');
    const edits = fc.array(fc.tuple(fc.nat(full.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(edits, fc.option(fc.nat(full.length)), async (changes, cut) => {
        const file = full.slice();
        for (const [at, value] of changes) file[at] = value;
        await decodeImage('x', file.subarray(0, cut ?? file.length)).catch((error) => {
          if (!(error instanceof DatasetError)) throw error;
        });
        expect((await decodeImage('x', full)).rgb).toEqual(bytes(files['full.jpg']!.rgb));
      }),
      { numRuns: Number(process.env.FUZZ_RUNS ?? 100) },
    );
  });

  it('one after another, each is told its own damage', async () => {
    const good = full;
    const results = await Promise.allSettled([
      decodeImage('a', good),
      decodeImage('b', good.subarray(0, 500)),
      decodeImage('c', good),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });
});
