import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DatasetError, imageDataset } from '../src/index';
import { type EdmSource, loadImages, openEdmDataset, openZip, writeEdmDataset } from '../src/node';
import { crc32 } from '../src/zip';
import { centralRecord, endRecords, localHeader } from '../src/zip-write';
import { randomBytes } from './files';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'edm-write-'));
  path = join(folder, 'x.zip');
});
afterEach(() => rmSync(folder, { recursive: true }));

const dataset = (count: number, channels = 3, labelled = true) =>
  imageDataset({
    images: randomBytes(7, count * 16 * channels),
    shape: [count, 4, 4, channels],
    ...(labelled && { labels: Int32Array.from({ length: count }, (_, i) => (i * 7) % 5) }),
  });

describe('a data set that is written', () => {
  it.each([
    ['in colour, with labels', dataset(1003)],
    ['in grey, without', dataset(3, 1, false)],
  ])('is read back, %s', async (_, images) => {
    const { shape, labels } = images;
    const written = await writeEdmDataset(path, images);
    expect(written).toEqual({ images: shape[0], ...(labels && { classes: 5 }), damaged: [], resumed: 0 });
    const stored = await openEdmDataset(path, { threads: 0 });
    expect(await loadImages(stored)).toEqual(images);
    await stored.close();
    expect(readdirSync(folder)).toEqual(['x.zip']);
  });

  it('has EDM’s names, labels at the end, and nothing compressed', async () => {
    await writeEdmDataset(path, dataset(2));
    const zip = openZip(path);
    expect([...zip.entries.keys()]).toEqual(['00000/img00000000.png', '00000/img00000001.png', 'dataset.json']);
    expect([...zip.entries.values()].some(({ deflated }) => deflated)).toBe(false);
    expect(Buffer.from(zip.read('dataset.json')).toString()).toBe(
      '{"labels":[["00000/img00000000.png",0],["00000/img00000001.png",2]]}',
    );
    zip.close();
  });

  it('tells how far it is', async () => {
    const seen: number[] = [];
    await writeEdmDataset(path, dataset(3), { onProgress: ({ done, total }) => seen.push(done, total) });
    expect(seen).toEqual([1, 3, 2, 3, 3, 3]);
  });

  it.each([['two channels', { ...dataset(1), shape: [1, 4, 6, 2] as const }, /2 channels, expected 1 or 3/]])(
    'refuses %s',
    async (_, images, message) => {
      await expect(writeEdmDataset(path, images)).rejects.toThrow(message);
    },
  );
});

/** Images 0 to 39, every seventh damaged, which end with an error at `until`. */
const source = (until = 40, identity = 'a'): EdmSource => ({
  identity,
  count: 40,
  async *images(from) {
    for (let i = from; i < 40; i++) {
      if (i === until) throw new Error('stopped');
      yield i % 7 === 3 ? { damaged: `${i}.jpg: is damaged` } : { png: randomBytes(i + 1, 50 + i), label: i };
    }
  },
});

describe('a run that was stopped', () => {
  it('leaves nothing under the name, and goes on to the same bytes wherever it was', async () => {
    const whole = await writeEdmDataset(path, source());
    expect(whole).toMatchObject({
      images: 34,
      classes: 40,
      damaged: [3, 10, 17, 24, 31, 38].map((i) => `${i}.jpg: is damaged`),
    });
    const bytes = readFileSync(path);
    rmSync(path);
    const cut = fc.option(fc.nat(3000));
    await fc.assert(
      fc.asyncProperty(fc.nat(39), cut, cut, async (until, zipCut, journalCut) => {
        await expect(writeEdmDataset(path, source(until))).rejects.toThrow('stopped');
        expect(existsSync(path)).toBe(false);
        // What a power failure may do: either file ends anywhere.
        for (const [name, length] of [
          ['x.zip.partial', zipCut],
          ['x.zip.partial.jsonl', journalCut],
        ] as const) {
          const file = join(folder, name);
          if (length !== null && length < statSync(file).size) truncateSync(file, length);
        }
        const { resumed, ...rest } = await writeEdmDataset(path, source());
        expect(resumed).toBeLessThanOrEqual(until);
        if (zipCut === null && journalCut === null) expect(resumed).toBe(until);
        expect({ ...rest, resumed: 0 }).toEqual(whole);
        expect(readFileSync(path).equals(bytes)).toBe(true);
        expect(readdirSync(folder)).toEqual(['x.zip']);
        rmSync(path);
      }),
      { numRuns: 60 },
    );
  });

  it('does images again that were damaged since', async () => {
    await expect(writeEdmDataset(path, source(20))).rejects.toThrow('stopped');
    const partial = readFileSync(`${path}.partial`);
    partial[200]! ^= 1;
    writeFileSync(`${path}.partial`, partial);
    expect(await writeEdmDataset(path, source())).toMatchObject({ images: 34, resumed: 1 });
    openZip(path).close();
  });

  it('is not continued with another source', async () => {
    await expect(writeEdmDataset(path, source(20))).rejects.toThrow('stopped');
    await expect(writeEdmDataset(path, source(40, 'b'))).rejects.toThrow(DatasetError);
    await expect(writeEdmDataset(path, source(40, 'b'))).rejects.toThrow(
      /x\.zip\.partial\.jsonl: is of another source/,
    );
    expect(await writeEdmDataset(path, source())).toMatchObject({ resumed: 20 });
  });

  it('without any image is an error', async () => {
    const none: EdmSource = {
      identity: 'c',
      count: 1,
      async *images() {
        yield { damaged: 'a.png: is cut off' };
      },
    };
    await expect(writeEdmDataset(path, none)).rejects.toThrow('no image could be read; the first: a.png: is cut off');
  });
});

describe('Zip64', () => {
  it('is for more than 65,535 entries', async () => {
    const many: EdmSource = {
      identity: 'd',
      count: 66_000,
      async *images(from) {
        for (let i = from; i < 66_000; i++) yield { png: Uint8Array.of(i & 255) };
      },
    };
    await writeEdmDataset(path, many);
    const zip = openZip(path);
    expect(zip.entries.size).toBe(66_001);
    expect([...zip.read('00065/img00065999.png')]).toEqual([65_999 & 255]);
    zip.close();
  });

  it('is for entries beyond 4 GiB', () => {
    // The file has a hole, which takes no place on disk.
    const offset = 2 ** 32 + 12_345;
    const bytes = randomBytes(3, 100);
    const entry = { size: 100, crc: crc32(bytes), offset };
    const header = localHeader('a', 100, entry.crc);
    const record = centralRecord('a', entry);
    const begin = offset + header.length + 100;
    const fd = openSync(path, 'w');
    ftruncateSync(fd, begin);
    const all = Buffer.concat([header, bytes, record, endRecords(1, begin, record.length)]);
    writeSync(fd, all, 0, all.length, offset);
    closeSync(fd);
    const zip = openZip(path);
    expect(zip.entries.get('a')).toMatchObject({ offset, size: 100 });
    expect(Uint8Array.from(zip.read('a'))).toEqual(bytes);
    zip.close();
  });
});
