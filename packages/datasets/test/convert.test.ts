import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { encode } from 'fast-png';
import { zipSync } from 'fflate';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { centerCropAdm, DatasetError } from '../src/index';
import { convertDataset, loadCifar10, loadImages, openEdmDataset } from '../src/node';
import { binaryBatch, interleaved, pythonBatch, randomBytes, tar } from './files';

let folder: string;
const at = (name: string) => join(folder, name);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'convert-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

type Files = Record<string, Uint8Array>;
const writeFolder = (name: string, content: Files) => {
  for (const [file, bytes] of Object.entries(content)) {
    mkdirSync(dirname(at(`${name}/${file}`)), { recursive: true });
    writeFileSync(at(`${name}/${file}`), bytes);
  }
  return at(name);
};
const writeFile = (name: string, bytes: Uint8Array) => {
  writeFileSync(at(name), bytes);
  return at(name);
};
const read = async (path: string) => {
  const stored = await openEdmDataset(path, { threads: 0 });
  const images = await loadImages(stored);
  await stored.close();
  return images;
};

const size = { height: 21, width: 17, channels: 3 };
const pixels = (seed: number) => randomBytes(seed, 21 * 17 * 3);
const png = (seed: number) => encode({ ...size, depth: 8, data: pixels(seed) });
const cropped = (...seeds: number[]) =>
  Uint8Array.from(seeds.flatMap((seed) => [...centerCropAdm({ ...size, pixels: pixels(seed) }, 8).pixels]));

const classes = { 'n02/b.png': png(3), 'n01/z.png': png(2), 'n01/a.png': png(1), 'n02/sub/c.png': png(4) };
const expected = { images: cropped(1, 2, 3, 4), shape: [4, 8, 8, 3], labels: Int32Array.of(0, 0, 1, 1) };
const within = (prefix: string) =>
  Object.fromEntries(
    Object.entries(classes).flatMap(([name, bytes]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), bytes]] : [],
    ),
  );

describe('a data set is made', () => {
  it.each<[string, () => string]>([
    ['a folder of classes', () => writeFolder('x', classes)],
    ['a zip of classes', () => writeFile('x.zip', zipSync(classes))],
    ['a tar of classes', () => writeFile('x.tar', tar(classes))],
    [
      'a tar of tars, as ImageNet’s',
      () => writeFile('x.tar', tar({ 'n02.tar': tar(within('n02/')), 'n01.tar': tar(within('n01/')) })),
    ],
  ])('of %s', async (_, write) => {
    const out = at('out.zip');
    const made = await convertDataset(write(), out, { resolution: 8, threads: 0 });
    expect(made).toEqual({ images: 4, classes: 2, damaged: [], resumed: 0, resolution: 8 });
    expect(await read(out)).toEqual(expected);
  });

  it('in threads just as well, with one and more images than a group has', async () => {
    const many = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`c${i % 3}/${i}.png`, png(i + 1)]));
    const from = writeFolder('x', many);
    await convertDataset(from, at('one.zip'), { resolution: 8, threads: 0 });
    await convertDataset(from, at('two.zip'), { resolution: 8, threads: 2 });
    expect(await read(at('two.zip'))).toEqual(await read(at('one.zip')));
  });

  it('of a data set, with its labels', async () => {
    const content = { 'a.png': png(1), 'b.png': png(2) };
    const labels = {
      labels: [
        ['b.png', 4],
        ['a.png', 9],
      ],
    };
    const json = new TextEncoder().encode(JSON.stringify(labels));
    await convertDataset(writeFile('x.zip', zipSync({ ...content, 'dataset.json': json })), at('out.zip'), {
      resolution: 8,
      threads: 0,
    });
    expect(await read(at('out.zip'))).toMatchObject({ images: cropped(1, 2), labels: Int32Array.of(9, 4) });
  });

  it('without labels of images in one folder, grey ones in colour', async () => {
    const grey = encode({ width: 8, height: 8, channels: 1, depth: 8, data: randomBytes(1, 64) });
    await convertDataset(writeFolder('x', { 'a.png': grey }), at('out.zip'), { threads: 0 });
    const { images, labels } = await read(at('out.zip'));
    expect(labels).toBeUndefined();
    expect([...images]).toEqual([...randomBytes(1, 64)].flatMap((v) => [v, v, v]));
  });

  it('without the images that are damaged, which are named', async () => {
    const from = writeFolder('x', { ...classes, 'n01/m.png': png(1).subarray(0, 200), 'n02/a.png': Uint8Array.of(1) });
    const { images, damaged } = await convertDataset(from, at('out.zip'), { resolution: 8, threads: 1 });
    expect(images).toBe(4);
    expect(damaged).toHaveLength(2);
    expect(damaged[0]).toMatch(/x\/n01\/m\.png: /);
    expect(damaged[1]).toMatch(/x\/n02\/a\.png: begins with 01/);
    expect(await read(at('out.zip'))).toEqual(expected);
  });

  it('of CIFAR-10 in any form', async () => {
    const numbers = [1, 2, 3, 4, 5];
    const want = { images: interleaved(numbers), labels: Int32Array.from(numbers), shape: [5, 32, 32, 3] };
    const binary = Object.fromEntries(numbers.map((i) => [`data_batch_${i}.bin`, binaryBatch([i], [i])]));
    const python = Object.fromEntries(
      numbers.map((i) => [`cifar-10-batches-py/data_batch_${i}`, pythonBatch([i], [i])]),
    );
    for (const source of [writeFolder('x', binary), writeFile('x.tar.gz', gzipSync(tar(python)))]) {
      expect(await loadCifar10(source)).toMatchObject(want);
      expect(await convertDataset(source, at('out.zip'))).toMatchObject({ images: 5, classes: 6, resolution: 32 });
      expect(await read(at('out.zip'))).toEqual(want);
    }
    await expect(convertDataset(at('x.tar.gz'), at('out.zip'), { part: 'test' })).rejects.toThrow(
      /has no test_batch\.bin, nor/,
    );
  });

  it.each<[string, () => Promise<unknown>, RegExp]>([
    ['a source that is not there', () => convertDataset(at('none'), at('o.zip')), /none: cannot be read \(ENOENT\)/],
    [
      'a file of something else',
      () => convertDataset(writeFile('x.txt', png(1)), at('o.zip')),
      /is no folder, \.zip or \.tar/,
    ],
    [
      'a folder without images',
      () => convertDataset(writeFolder('x', { 'a.txt': png(1) }), at('o.zip')),
      /has no images/,
    ],
    [
      'a damaged tar',
      () => convertDataset(writeFile('x.tar', tar(classes).fill(9, 2, 9)), at('o.zip')),
      /no header of a tar archive at byte 0/,
    ],
    [
      'a tar that is cut',
      () => convertDataset(writeFile('x.tar', tar(classes).subarray(0, 900)), at('o.zip')),
      /reaches beyond the end/,
    ],
    [
      'images that are not square, without a size',
      () => convertDataset(writeFolder('x', classes), at('o.zip')),
      /is 17 × 21; a resolution/,
    ],
    [
      'a size that is none',
      () => convertDataset(writeFolder('x', classes), at('o.zip'), { resolution: 0 }),
      /resolution is 0/,
    ],
    [
      'other sizes where nothing is cut',
      () => convertDataset(writeFolder('x', classes), at('o.zip'), { resolution: 8, crop: 'none' }),
      /is 17 × 21, expected 8 × 8/,
    ],
  ])('not of %s', async (_, convert, message) => {
    await expect(convert()).rejects.toThrow(DatasetError);
    await expect(convert()).rejects.toThrow(message);
  });

  it('of files with long names in a tar, both ways', async () => {
    const long = `${'d'.repeat(120)}/a.png`;
    for (const kind of ['gnu', 'posix'] as const) {
      const from = writeFile('x.tar', tar({ [long]: png(1), 'e/b.png': png(2) }, kind));
      await convertDataset(from, at('out.zip'), { resolution: 8, threads: 0 });
      expect(await read(at('out.zip'))).toMatchObject({ images: cropped(1, 2), labels: Int32Array.of(0, 1) });
    }
  });
});
