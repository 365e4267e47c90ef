import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { loadMnist } from '@cm/datasets/node';
import { key } from '@cm/random';
import { expectClose, expectNoLeak, onEveryBackend } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLoader, DatasetError, type ImageDataset, idxDataset, pad, parseIdx, resize, toFloat } from '../src';

const idx = (shape: number[], data: Uint8Array | number[]) => {
  const bytes = new Uint8Array(4 + 4 * shape.length + data.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0, 0, 8, shape.length]);
  shape.forEach((extent, axis) => {
    view.setUint32(4 + 4 * axis, extent);
  });
  bytes.set(data, 4 + 4 * shape.length);
  return bytes;
};
const counting = (n: number) => Uint8Array.from({ length: n }, (_, i) => i);

describe('an idx file', () => {
  it('is read into bytes and shape', () => {
    const { shape, data } = parseIdx(idx([2, 1, 3], counting(6)));
    expect(shape).toEqual([2, 1, 3]);
    expect([...data]).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it.each<[string, Uint8Array, string]>([
    ['begins with something else', Uint8Array.of(1, 0, 8, 1), 'two zero bytes'],
    ['has floats', Uint8Array.of(0, 0, 13, 1, 0, 0, 0, 0), 'type 13'],
    ['is cut off', idx([2, 3], counting(6)).subarray(0, 9), 'cut off'],
    ['has fewer values than it says', idx([2, 3], counting(5)), '5 values, expected 6'],
    ['claims more than memory holds', idx([2 ** 31, 2 ** 31, 2 ** 31], []), 'expected'],
  ])('that %s is refused', (_, bytes, reason) => {
    expect(() => parseIdx(bytes)).toThrow(DatasetError);
    expect(() => parseIdx(bytes)).toThrow(reason);
  });

  it('mutated in any way is read or refused, and nothing else happens', () => {
    const seed = idx([2, 2, 2], counting(8));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(seed.length - 1), fc.nat(255)), { maxLength: 4 }),
        fc.nat(seed.length),
        (edits, cut) => {
          const bytes = seed.slice(0, cut);
          for (const [at, value] of edits) if (at < cut) bytes[at] = value;
          try {
            parseIdx(bytes);
          } catch (error) {
            if (!(error instanceof DatasetError)) throw error;
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('of images needs a label for each', () => {
    expect(() => idxDataset(idx([2, 1, 1], counting(2)), idx([3], counting(3)))).toThrow(
      'labels are 3, expected one for each of 2',
    );
  });
});

describe('MNIST in a folder', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'datasets-'));
    writeFileSync(join(folder, 'train-images-idx3-ubyte'), idx([3, 2, 2], counting(12)));
    writeFileSync(join(folder, 'train-labels-idx1-ubyte.gz'), gzipSync(idx([3], [7, 8, 9])));
    writeFileSync(join(folder, 't10k-images-idx3-ubyte.gz'), 'not gzip');
    writeFileSync(join(folder, 't10k-labels-idx1-ubyte'), idx([3], [7, 8, 9]));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('is read plain and gzipped', async () => {
    const { shape, labels, images } = await loadMnist(folder, 'train');
    expect(shape).toEqual([3, 2, 2, 1]);
    expect([...labels]).toEqual([7, 8, 9]);
    expect(images[11]).toBe(11);
  });

  it('names the file that is missing or corrupt', async () => {
    await expect(loadMnist(folder, 'test')).rejects.toThrow(/t10k-images-idx3-ubyte\.gz is not a gzip file/);
    await expect(loadMnist(join(folder, 'nowhere'), 'train')).rejects.toThrow(/train-images-idx3-ubyte is missing/);
  });
});

const dataset = (count: number, height: number, width: number, channels: number): ImageDataset => ({
  images: Uint8Array.from({ length: count * height * width * channels }, (_, i) => (i * 37) % 256),
  labels: Uint8Array.from({ length: count }, (_, i) => i % 10),
  shape: [count, height, width, channels],
});

describe('images', () => {
  it('of one value stay so when made smaller, and the mean of each block stays', () => {
    const constant = { ...dataset(2, 4, 6, 3), images: new Uint8Array(2 * 4 * 6 * 3).fill(77) };
    expect(() => resize(constant, 4)).toThrow('size is 4, expected a divisor of height 4 and width 6');
    expect(new Set(resize({ ...constant, shape: [3, 4, 4, 3] }, 2).images)).toEqual(new Set([77]));
    const one: ImageDataset = { images: Uint8Array.of(0, 10, 20, 30), labels: Uint8Array.of(0), shape: [1, 2, 2, 1] };
    expect([...resize(one, 1).images]).toEqual([15]);
  });

  it('get a border', () => {
    const one: ImageDataset = { images: Uint8Array.of(1, 2, 3, 4), labels: Uint8Array.of(0), shape: [1, 2, 2, 1] };
    expect([...pad(one, 1, 9).images]).toEqual([9, 9, 9, 9, 9, 1, 2, 9, 9, 3, 4, 9, 9, 9, 9, 9]);
  });
});

onEveryBackend(() => {
  it('bytes 0 to 255 span [−1, 1]', () => {
    expectClose(toFloat(Uint8Array.of(0, 255, 51), [1, 1, 3, 1]), [-1, 1, -0.6], 1e-7);
    expect(() => toFloat(Uint8Array.of(0), [1, 1, 3, 1])).toThrow('1 bytes, expected 3');
  });

  it('every image comes once an epoch, whatever the batch size', () => {
    const data = dataset(7, 1, 1, 1);
    for (const batchSize of [1, 3, 7]) {
      const loader = createLoader({ dataset: data, batchSize, key: key(1) });
      const seen = Array.from({ length: 21 / batchSize }, (_, step) => [...loader.batchAt(step).indices]).flat();
      for (let epoch = 0; epoch < 3; epoch++) {
        expect(seen.slice(7 * epoch, 7 * epoch + 7).sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
      }
      expect(seen.slice(0, 7)).not.toEqual(seen.slice(7, 14));
    }
  });

  it('a batch is a function of its step alone', () => {
    const data = dataset(50, 2, 3, 2);
    const [one, other] = [0, 1].map(() => createLoader({ dataset: data, batchSize: 8, key: key(2), flip: true }));
    for (let step = 0; step < 20; step++) one!.batchAt(step);
    const [a, b] = [one!.batchAt(13), other!.batchAt(13)];
    expect(a.indices).toEqual(b.indices);
    expectClose(a.images, b.images, 0);
    expect(a.flipped).toEqual(b.flipped);
    expect(new Set(a.flipped).size).toBe(2);
  });

  it('images, labels and positions belong together, mirrored rows included', () => {
    const data = dataset(20, 2, 3, 2);
    const { images, labels, indices, flipped } = createLoader({
      dataset: data,
      batchSize: 10,
      key: key(3),
      flip: true,
    }).batchAt(0);
    const all = toFloat(data.images, data.shape);
    indices.forEach((index, row) => {
      expect(labels[row]).toBe(data.labels[index]);
      const original = tf.slice(all, index, 1);
      expectClose(tf.slice(images, row, 1), flipped[row] ? tf.reverse(original, 2) : original, 0);
    });
  });

  it('leaves no tensors but the batch', async () => {
    const loader = createLoader({ dataset: dataset(20, 2, 2, 1), batchSize: 4, key: key(4), flip: true });
    await expectNoLeak(() => {
      tf.dispose(loader.batchAt(1).images);
    });
    expect(() => createLoader({ dataset: dataset(3, 1, 1, 1), batchSize: 4, key: key(0) })).toThrow(
      'batchSize is 4, expected a whole number from 1 to 3',
    );
  });
});
