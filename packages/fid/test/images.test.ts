import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeNpz } from '@cm/checkpoints';
import { expectClose, expectNoLeak, onEveryBackend, readJsonFixture } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { unzipSync, zipSync } from 'fflate';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FeatureMatrix, resampleBicubic } from '../src/index';
import { decodeImage, featureChunks, imageBatches, openImages } from '../src/node';

/** Files that Pillow wrote, with the pixels that it reads; and float images with their bicubic resizing. */
const pillow = readJsonFixture<{
  resample: { image: number[][]; result: number[][] }[];
  files: Record<string, { file: string; rgb: string; height: number; width: number }>;
}>(new URL('fixtures/pillow.json', import.meta.url));
const fileOf = (name: string) => new Uint8Array(Buffer.from(pillow.files[name]!.file, 'base64'));
const rgbOf = (name: string) => new Uint8Array(Buffer.from(pillow.files[name]!.rgb, 'base64'));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fid-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('decoding', () => {
  it.each(Object.keys(pillow.files))('%s has the pixels that Pillow reads, bit for bit', async (name) => {
    const { height, width } = pillow.files[name]!;
    expect(await decodeImage(name, fileOf(name))).toEqual({ height, width, rgb: rgbOf(name) });
  });

  it.each([
    ['cut.jpg', () => fileOf('full.jpg').subarray(0, 500)],
    ['cut.png', () => fileOf('rgb.png').subarray(0, 120)],
    ['flipped.png', () => fileOf('rgb.png').map((byte, i) => (i === 90 ? byte ^ 1 : byte))],
    ['text.png', () => new TextEncoder().encode('hello')],
    ['empty.jpg', () => new Uint8Array()],
  ])('%s is refused by its name', async (name, bytes) => {
    await expect(decodeImage(name, bytes())).rejects.toThrow(`${name}: `);
  });
});

describe('sources', () => {
  const names = async (path: string) => {
    const found: string[] = [];
    const source = await openImages(path);
    for await (const { name } of source.entries()) found.push(name.slice(path.length + 1));
    expect(source.count).toBe(found.length);
    return found;
  };

  it('are folders, with those below, in the order of paths', async () => {
    mkdirSync(join(folder, 'b'));
    for (const name of ['c.png', 'b/2.JPG', 'a.jpeg', 'notes.txt']) writeFileSync(join(folder, name), '');
    expect(await names(folder)).toEqual(['a.jpeg', 'b/2.JPG', 'c.png']);
  });

  it('are zips', async () => {
    const path = join(folder, 'x.zip');
    writeFileSync(
      path,
      zipSync({ 'b.png': fileOf('rgb.png'), 'a/a.jpg': fileOf('full.jpg'), 'dataset.json': new Uint8Array() }),
    );
    expect(await names(path)).toEqual(['a/a.jpg', 'b.png']);
    const { entries } = await openImages(path);
    for await (const { decode, name } of entries()) {
      expect((await decode()).rgb).toEqual(rgbOf(name.endsWith('png') ? 'rgb.png' : 'full.jpg'));
    }
  });

  it('are arrays of bytes', async () => {
    const path = join(folder, 'x.npz');
    const data = Uint8Array.from({ length: 24 }, (_, i) => i);
    writeFileSync(path, writeNpz({ arr_0: { dtype: 'U8', shape: [2, 2, 2, 3], data } }));
    expect(await names(path)).toEqual(['arr_0[0]', 'arr_0[1]']);
    writeFileSync(path, writeNpz({ arr_0: { dtype: 'U8', shape: [24], data } }));
    await expect(openImages(path)).rejects.toThrow(
      'has arr_0 |u1 [24], expected one of bytes (|u1), [images, height, width, 3]',
    );
  });

  it('are the same from an array that NumPy compressed, and larger than what is read at once', async () => {
    const [count, height, width] = [3, 300, 400];
    const data = Uint8Array.from({ length: count * height * width * 3 }, (_, i) => (i * i) >> 7);
    const array = writeNpz({ arr_0: { dtype: 'U8', shape: [count, height, width, 3], data } });
    const path = join(folder, 'x.npz');
    for (const level of [0, 6] as const) {
      const { 'arr_0.npy': npy } = unzipSync(array);
      writeFileSync(path, zipSync({ 'labels.npy': new Uint8Array(), 'arr_0.npy': npy! }, { level }));
      // The first of the two is no array: its name is in the error.
      await expect(openImages(path)).rejects.toThrow('x.npz/labels.npy is no .npy file');
      writeFileSync(path, zipSync({ 'arr_0.npy': npy! }, { level }));
      const { entries } = await openImages(path);
      const images: Uint8Array[] = [];
      for await (const { decode } of entries()) images.push((await decode()).rgb);
      expect(Buffer.concat(images).equals(data)).toBe(true);
    }
  });

  it('that are damaged or cut short are refused by name', async () => {
    const read = async (path: string) => {
      for await (const _ of (await openImages(path)).entries());
    };
    const path = join(folder, 'x.npz');
    const data = Uint8Array.from({ length: 4800 }, (_, i) => (i * i) % 251);
    const array = writeNpz({ arr_0: { dtype: 'U8', shape: [4, 20, 20, 3], data } });
    writeFileSync(
      path,
      array.map((byte, i) => (i === 3000 ? byte ^ 1 : byte)),
    );
    await expect(read(path)).rejects.toThrow('x.npz/arr_0.npy: is damaged: its checksum is another');
    writeFileSync(path, array.subarray(0, 4000));
    await expect(read(path)).rejects.toThrow('x.npz: is no zip archive, or is cut short');
    const zipped = zipSync({ 'a.png': fileOf('rgb.png') }, { level: 0 });
    writeFileSync(
      join(folder, 'x.zip'),
      zipped.map((byte, i) => (i === 200 ? byte ^ 1 : byte)),
    );
    await expect(read(join(folder, 'x.zip'))).rejects.toThrow('x.zip/a.png: is damaged: its checksum is another');
  });

  it('without images are refused', async () => {
    await expect(openImages(folder)).rejects.toThrow('has no images, expected PNG or JPEG files');
    writeFileSync(join(folder, 'x'), 'text');
    await expect(openImages(join(folder, 'x'))).rejects.toThrow('is no folder, zip or .npz of images');
  });
});

onEveryBackend(() => {
  it('bicubic resizing is Pillow’s', async () => {
    for (const { image, result } of pillow.resample) {
      const x = tf.reshape(tf.tensor2d(image), [1, image.length, image[0]!.length, 1]) as tf.Tensor4D;
      // A second channel and image beside it are not mixed up.
      const four = tf.concat([tf.concat([x, tf.mul(x, 2)], 3), tf.concat([tf.mul(x, 3), x], 3)], 0) as tf.Tensor4D;
      const y = tf.tensor2d(result);
      const expected = tf.stack([tf.stack([y, tf.mul(y, 2)], 2), tf.stack([tf.mul(y, 3), y], 2)]);
      expectClose(resampleBicubic(four, [result.length, result[0]!.length]), expected, 1e-6);
    }
    const x: tf.Tensor4D = tf.zeros([1, 3, 4, 1]);
    await expectNoLeak(() => tf.dispose(resampleBicubic(x, [2, 2])));
  });

  it('batches hold images of one size', async () => {
    writeFileSync(join(folder, '1.png'), fileOf('rgb.png'));
    writeFileSync(join(folder, '2.png'), fileOf('rgb.png'));
    writeFileSync(join(folder, '3.png'), fileOf('grey.png'));
    const { entries } = await openImages(folder);
    const shapes: number[][] = [];
    for await (const batch of imageBatches(entries(), 2)) {
      shapes.push(batch.shape);
      if (shapes.length === 1)
        expectClose(
          tf.slice(batch, [0, 0, 0, 0], [1, -1, -1, -1]),
          Float32Array.from(rgbOf('rgb.png'), (v) => v / 127.5 - 1),
          1e-6,
        );
      batch.dispose();
    }
    expect(shapes).toEqual([
      [2, 24, 20, 3],
      [1, 24, 20, 3],
    ]);
  });

  it('features come from the cache where images and key are the same, and a damaged image is named', async () => {
    const images = join(folder, 'images');
    mkdirSync(images);
    const count = 300;
    const array = Uint8Array.from({ length: count * 12 }, (_, i) => (i * i) % 251);
    const path = join(images, 'x.npz');
    writeFileSync(path, writeNpz({ arr_0: { dtype: 'U8', shape: [count, 2, 2, 3], data: array } }));
    const source = await openImages(path);
    let passes = 0;
    const extract = (x: tf.Tensor4D) => {
      passes++;
      return tf.mean(x, [1, 2]) as tf.Tensor2D;
    };
    const progress: number[] = [];
    const run = async (key: string) => {
      const chunks: FeatureMatrix[] = [];
      const cache = { folder: join(folder, 'cache'), key };
      const onProgress = (done: number) => progress.push(done);
      for await (const chunk of featureChunks(source, extract, { cache, onProgress })) chunks.push(chunk);
      return chunks;
    };
    const first = await run('a');
    expect(first.map(({ shape }) => shape)).toEqual([
      [256, 3],
      [44, 3],
    ]);
    expect(passes).toBe(10);
    // One chunk was lost: it alone is computed again.
    const files = readdirSync(join(folder, 'cache'));
    rmSync(join(folder, 'cache', files[0]!));
    expect(await run('a')).toEqual(first);
    expect([2, 8]).toContain(passes - 10);
    expect(progress).toEqual([256, 300, 256, 300]);
    const before = passes;
    await run('b');
    expect(passes).toBe(before + 10);

    writeFileSync(join(images, 'bad.png'), 'no image');
    const damaged = await openImages(images);
    const read = async () => {
      for await (const _ of featureChunks(damaged, extract));
    };
    await expect(read()).rejects.toThrow(/bad\.png: begins with 6e 6f 20 69, expected a PNG or JPEG file/);
  });
});
