import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { writeNpy } from '@cm/checkpoints';
import { encode } from 'fast-png';
import { zipSync } from 'fflate';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DatasetError } from '../src/index';
import { loadImages, openEdmDataset } from '../src/node';
import { randomBytes } from './files';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'edm-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const size = 4;
const pixels = (seed: number, channels = 3) => randomBytes(seed, size * size * channels);
const png = (seed: number, channels = 3) =>
  encode({ width: size, height: size, channels, depth: 8, data: pixels(seed, channels) });
const npy = (seed: number, shape: number[]) => writeNpy({ dtype: 'U8', shape, data: pixels(seed) });
const json = (labels: unknown) => new TextEncoder().encode(JSON.stringify({ labels }));

const names = ['00000/img00000000.png', '00000/img00000001.png', '00001/img00001000.png'];
const files = (labels?: unknown) => ({
  // Not in order: a data set's order is that of names.
  [names[2]!]: png(3),
  [names[0]!]: png(1),
  [names[1]!]: png(2),
  ...(labels !== undefined && { 'dataset.json': json(labels) }),
});
const good = [
  [names[1], 7],
  [names[2], 0],
  [names[0], 3],
];

type Files = Record<string, Uint8Array>;
const kinds: [string, (content: Files) => string][] = [
  [
    'a zip',
    (content) => {
      writeFileSync(join(folder, 'x.zip'), zipSync(content));
      return join(folder, 'x.zip');
    },
  ],
  [
    'a folder',
    (content) => {
      for (const [name, bytes] of Object.entries(content)) {
        mkdirSync(dirname(join(folder, 'x', name)), { recursive: true });
        writeFileSync(join(folder, 'x', name), bytes);
      }
      return join(folder, 'x');
    },
  ],
];

describe.each(kinds)('EDM’s data sets, %s', (_, write) => {
  const open = (content: Files, threads = 0) => openEdmDataset(write(content), { threads });

  it('has images in the order of names, with their labels', async () => {
    const set = await open(files(good));
    expect(set.shape).toEqual([3, size, size, 3]);
    expect(set.labels).toEqual(Int32Array.of(3, 7, 0));
    expect(await set.read([2, 0, 2])).toEqual(Uint8Array.of(...pixels(3), ...pixels(1), ...pixels(3)));
    expect((await loadImages(set)).images).toEqual(Uint8Array.of(...pixels(1), ...pixels(2), ...pixels(3)));
    await expect(set.read([3])).rejects.toThrow('index 0 is 3, expected 0 to 2');
    await set.close();
  });

  it('is decoded in threads just as well', async () => {
    const set = await open(files(good), 2);
    expect(await set.read([2, 0])).toEqual(Uint8Array.of(...pixels(3), ...pixels(1)));
    await set.close();
    const bad = await open({ ...files(null), [names[2]!]: Uint8Array.of(1, 2) }, 1);
    await expect(bad.read([0, 2])).rejects.toThrow(DatasetError);
    await expect(bad.read([0, 2])).rejects.toThrow(/x(\.zip)?\/00001\/img00001000\.png: begins with 01 02/);
    await bad.close();
  });

  it('may have no labels', async () => {
    for (const labels of [undefined, null]) {
      const set = await open(files(labels));
      expect(set).not.toHaveProperty('labels');
      await set.close();
    }
  });

  it('may be grey', async () => {
    const set = await open({ 'a.png': png(5, 1) });
    expect(set.shape).toEqual([1, size, size, 1]);
    expect(await set.read([0])).toEqual(pixels(5, 1));
    await set.close();
  });

  it('may be arrays, channels first as EDM2 has them, or last', async () => {
    const set = await open({ 'a.npy': npy(6, [3, size, size]), 'b.npy': npy(7, [size, size, 3]) });
    const planes = pixels(6);
    const interleaved = Array.from({ length: 48 }, (_, i) => planes[(i % 3) * 16 + Math.floor(i / 3)]!);
    expect(await set.read([0, 1])).toEqual(Uint8Array.of(...interleaved, ...pixels(7)));
    await set.close();
  });

  it.each<[string, Files, RegExp]>([
    ['no images', { 'a.txt': png(1) }, /has no images/],
    ['labels that are no JSON', { ...files(), 'dataset.json': Uint8Array.of(123) }, /dataset\.json: is no JSON/],
    ['no list of labels', files({ a: 1 }), /dataset\.json: has no list of labels/],
    ['an image without a label', files(good.slice(1)), /img00000001\.png has no label/],
    ['a label without an image', files([...good, ['a.png', 1]]), /a\.png has a label, but is not there/],
    ['two labels of an image', files([...good, good[0]]), /img00000001\.png has two labels/],
    [
      'labels that are vectors',
      files(good.map(([name]) => [name, [0, 1]])),
      /label of .* is \[0,1\], expected a whole/,
    ],
    ['labels below 0', files(good.map(([name]) => [name, -1])), /is -1, expected a whole number/],
    [
      'latents',
      { 'a.npy': writeNpy({ dtype: 'F32', shape: [1, 1, 1], data: new Uint8Array(4) }) },
      /F32 \[1,1,1\], expected bytes/,
    ],
  ])('refuses %s', async (_, content, message) => {
    await expect(open(content)).rejects.toThrow(DatasetError);
    await expect(open(content)).rejects.toThrow(message);
  });

  it('names an image of another size', async () => {
    const set = await open({ ...files(), 'z.png': png(9, 1) });
    await expect(set.read([0, 3])).rejects.toThrow(/z\.png: is \[4,4,1\], expected \[4,4,3\] as the first image/);
    await set.close();
  });
});
