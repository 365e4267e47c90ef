import { key } from '@cm/random';
import { expectClose, expectNoLeak, onEveryBackend } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import {
  createLoader,
  DatasetError,
  type ImageDataset,
  imageDataset,
  type LoaderOptions,
  type StoredImages,
  subset,
  toFloat,
} from '../src/index';

const dataset = (count: number, height: number, width: number, channels: number): ImageDataset =>
  imageDataset({
    images: Uint8Array.from({ length: count * height * width * channels }, (_, i) => (i * 37) % 256),
    labels: Int32Array.from({ length: count }, (_, i) => i % 10),
    shape: [count, height, width, channels],
  });

/** The same images as if they were on disk. */
const storedOf = (data: ImageDataset, onRead: (indices: number[]) => void): StoredImages => {
  const { images: _, ...rest } = data;
  return {
    ...rest,
    read: async (indices) => {
      onRead(Array.from(indices));
      return subset(data, indices).images;
    },
    close: async () => {},
  };
};

onEveryBackend(() => {
  it('bytes 0 to 255 span [−1, 1]', () => {
    expectClose(toFloat(Uint8Array.of(0, 255, 51), [1, 1, 3, 1]), [-1, 1, -0.6], 1e-7);
    expect(() => toFloat(Uint8Array.of(0), [1, 1, 3, 1])).toThrow('toFloat: images has 1 bytes, expected [1,1,3,1]');
  });

  it('every image comes once an epoch, whatever the batch size', () => {
    for (const batchSize of [1, 2, 3, 7, 21]) {
      const loader = createLoader({ dataset: dataset(7, 1, 1, 1), batchSize, key: key(1) });
      const seen = Array.from({ length: 42 / batchSize }, (_, step) => [...loader.batchAt(step).indices]).flat();
      for (let epoch = 0; epoch < 6; epoch++) {
        expect(seen.slice(7 * epoch, 7 * epoch + 7).sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
      }
      expect(seen.slice(0, 7)).not.toEqual(seen.slice(7, 14));
    }
  });

  it('a batch is a function of its position alone', () => {
    const data = dataset(50, 2, 3, 2);
    const [one, other] = [0, 1].map(() => createLoader({ dataset: data, batchSize: 8, key: key(2), flip: true }));
    for (let position = 0; position < 20; position++) tf.dispose(one!.batchAt(position).images);
    const [a, b] = [one!.batchAt(13), other!.batchAt(13)];
    expect(a.indices).toEqual(b.indices);
    expect(a.labels).toEqual(b.labels);
    expect(a.flipped).toEqual(b.flipped);
    expectClose(a.images, b.images, 0);
  });

  it('another key gives another order', () => {
    const [a, b] = [1, 2].map((seed) => createLoader({ dataset: dataset(50, 1, 1, 1), batchSize: 50, key: key(seed) }));
    expect(a!.batchAt(0).indices).not.toEqual(b!.batchAt(0).indices);
  });

  it('images, labels and indices belong together, mirrored rows included', () => {
    const data = dataset(20, 2, 3, 2);
    const { images, labels, indices, flipped } = createLoader({
      dataset: data,
      batchSize: 20,
      key: key(3),
      flip: true,
    }).batchAt(0);
    expect(new Set(flipped)).toEqual(new Set([0, 1]));
    const all = toFloat(data.images, data.shape);
    indices.forEach((index, row) => {
      expect(labels![row]).toBe(data.labels![index]);
      const original = tf.slice(all, index, 1);
      expectClose(tf.slice(images, row, 1), flipped![row] ? tf.reverse(original, 2) : original, 0);
    });
  });

  it('half of all rows are mirrored, anew in every epoch', () => {
    const loader = createLoader({ dataset: dataset(1000, 1, 2, 1), batchSize: 1000, key: key(5), flip: true });
    const byImage = [0, 1].map((epoch) => {
      const { indices, flipped } = loader.batchAt(epoch);
      const flips = new Uint8Array(1000);
      indices.forEach((index, row) => {
        flips[index] = flipped![row]!;
      });
      return flips;
    });
    const both = byImage[0]!.filter((flip, i) => flip && byImage[1]![i]).length;
    for (const flips of byImage) expect(Math.abs(flips.filter(Boolean).length - 500)).toBeLessThan(80);
    expect(Math.abs(both - 250)).toBeLessThan(70);
  });

  it('what is not there is not given', () => {
    const { images, shape } = dataset(3, 1, 1, 1);
    const batch = createLoader({ dataset: { images, shape }, batchSize: 2, key: key(4) }).batchAt(0);
    expect(Object.keys(batch)).toEqual(['images', 'indices']);
  });

  it('leaves no tensors but the batch', async () => {
    const loader = createLoader({ dataset: dataset(20, 2, 2, 1), batchSize: 4, key: key(4), flip: true });
    await expectNoLeak(() => {
      tf.dispose(loader.batchAt(1).images);
    });
  });

  it('processes share the batches, whatever their number', () => {
    const options = { dataset: dataset(11, 1, 2, 1), batchSize: 12, key: key(6), flip: true };
    const whole = createLoader(options);
    for (const ranks of [1, 2, 3, 12]) {
      const parts = Array.from({ length: ranks }, (_, rank) => createLoader({ ...options, shard: { rank, ranks } }));
      for (const position of [0, 7, 3]) {
        const batch = whole.batchAt(position);
        const shared = parts.map((part) => part.batchAt(position));
        expect(shared.flatMap(({ indices }) => [...indices])).toEqual([...batch.indices]);
        expect(shared.flatMap(({ labels }) => [...labels!])).toEqual([...batch.labels!]);
        expect(shared.flatMap(({ flipped }) => [...flipped!])).toEqual([...batch.flipped!]);
        expectClose(
          tf.concat(
            shared.map(({ images }) => images),
            0,
          ),
          batch.images,
          0,
        );
      }
    }
  });

  it('stored images make the same batches, in whatever order they are asked for', async () => {
    const data = dataset(50, 2, 3, 2);
    const asked: number[][] = [];
    const stored = storedOf(data, (indices) => asked.push([...indices]));
    const options = { batchSize: 8, key: key(2), flip: true };
    const [known, loader] = [
      createLoader({ dataset: data, ...options }),
      createLoader({ dataset: stored, ...options, ahead: 2 }),
    ];
    for (const position of [0, 1, 2, 40, 5, 6, 6, 12]) {
      const [a, b] = [known.batchAt(position), await loader.batchAt(position)];
      expect([b.indices, b.labels, b.flipped]).toEqual([a.indices, a.labels, a.flipped]);
      // A step takes its time, in which what comes next is read.
      await new Promise((resolve) => setTimeout(resolve, 2));
      expectClose(b.images, a.images, 0);
    }
    // 0 to 4 once each: what was read ahead is not read again.
    expect(asked.slice(0, 5)).toEqual([0, 1, 2, 3, 4].map((position) => [...known.batchAt(position).indices]));
  });

  it('a damaged image is an error of its own batch', async () => {
    const data = dataset(6, 1, 1, 1);
    const stored = storedOf(data, (indices) => {
      if (indices.includes(5)) throw new DatasetError('x.zip/5.png: is damaged');
    });
    const options = { batchSize: 1, key: key(2) };
    const loader = createLoader({ dataset: stored, ...options });
    const bad = Array.from(
      { length: 6 },
      (_, i) => createLoader({ dataset: data, ...options }).batchAt(i).indices[0],
    ).indexOf(5);
    for (let position = 0; position < 6; position++) {
      const batch = loader.batchAt(position);
      if (position === bad) await expect(batch).rejects.toThrow('x.zip/5.png: is damaged');
      else expect((await batch).indices).toHaveLength(1);
    }
  });

  it.each<[string, Partial<LoaderOptions>, string]>([
    ['a rank beyond', { shard: { rank: 2, ranks: 2 } }, 'shard is 2 of 2, expected a rank from 0 to ranks - 1'],
    ['no ranks', { shard: { rank: 0, ranks: 0 } }, 'shard is 0 of 0'],
    [
      'a batch that does not divide',
      { shard: { rank: 0, ranks: 3 } },
      'batchSize is 4, expected a multiple of 3 ranks',
    ],
  ])('refuses %s', (_, options, message) => {
    expect(() => createLoader({ dataset: dataset(3, 1, 1, 1), batchSize: 4, key: key(0), ...options })).toThrow(
      message,
    );
  });

  it.each([0, 1.5, -1, Number.NaN])('refuses %s', (number) => {
    const data = dataset(3, 1, 1, 1);
    expect(() => createLoader({ dataset: data, batchSize: number, key: key(0) })).toThrow(DatasetError);
    if (number !== 0) {
      expect(() => createLoader({ dataset: data, batchSize: 2, key: key(0) }).batchAt(number)).toThrow(DatasetError);
    }
  });
});
