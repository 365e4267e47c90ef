import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatenate, DatasetError, type ImageDataset, imageDataset, pad, resize, subset } from '../src/index';

const one = (height: number, width: number, images: number[]): ImageDataset =>
  imageDataset({ images: Uint8Array.from(images), shape: [1, height, width, images.length / height / width] });

describe('resize', () => {
  it('averages blocks, halves rounded up', () => {
    expect([...resize(one(2, 4, [0, 10, 1, 0, 20, 30, 0, 0]), [1, 2]).images]).toEqual([15, 0]);
    expect([...resize(one(1, 2, [0, 1]), 1).images]).toEqual([1]);
  });

  it('weighs pixels that are covered in part by that part', () => {
    // Three pixels on two: each of the two is one whole pixel and half of the middle one.
    expect([...resize(one(1, 3, [30, 90, 150]), [1, 2]).images]).toEqual([50, 130]);
  });

  it('enlarges by whole factors without a change', () => {
    expect([...resize(one(1, 2, [3, 9]), [2, 4]).images]).toEqual([3, 3, 9, 9, 3, 3, 9, 9]);
  });

  it('keeps channels and images apart', () => {
    const two = imageDataset({
      images: Uint8Array.of(0, 100, 2, 102, 8, 200, 10, 202),
      shape: [2, 1, 2, 2],
      labels: Int32Array.of(4, 5),
    });
    expect(resize(two, 1)).toEqual({ images: Uint8Array.of(1, 101, 9, 201), shape: [2, 1, 1, 2], labels: two.labels });
  });

  const extent = fc.integer({ min: 1, max: 9 });

  it('leaves one colour as it is, at any size', () => {
    fc.assert(
      fc.property(extent, extent, extent, extent, fc.nat(255), (height, width, newHeight, newWidth, value) => {
        const { images } = resize(one(height, width, Array(height * width).fill(value)), [newHeight, newWidth]);
        expect(images.length).toBe(newHeight * newWidth);
        expect(images.every((pixel) => pixel === value)).toBe(true);
      }),
    );
  });

  it('agrees with a mean over a grid fine enough for both sizes', () => {
    fc.assert(
      fc.property(extent, extent, fc.uint8Array({ minLength: 9, maxLength: 9 }), (from, to, values) => {
        const row = [...values.slice(0, from)];
        const fine = row.flatMap((value) => Array<number>(to).fill(value));
        const means = Array.from({ length: to }, (_, i) => {
          const part = fine.slice(i * from, (i + 1) * from);
          return Math.floor(part.reduce((sum, value) => sum + value, 0) / from + 0.5);
        });
        expect([...resize(one(1, from, row), [1, to]).images]).toEqual(means);
      }),
    );
  });

  it.each([0, 1.5, -2, Number.NaN])('refuses size %s', (size) => {
    expect(() => resize(one(1, 1, [1]), size)).toThrow(DatasetError);
  });
});

describe('pad', () => {
  it('puts a border around', () => {
    expect(pad(one(1, 2, [1, 2]), 1, 9)).toEqual({
      images: Uint8Array.of(9, 9, 9, 9, 9, 1, 2, 9, 9, 9, 9, 9),
      shape: [1, 3, 4, 1],
    });
  });

  it('refuses what is no margin or no byte', () => {
    expect(() => pad(one(1, 1, [1]), -1)).toThrow('margin is -1');
    expect(() => pad(one(1, 1, [1]), 1, 256)).toThrow('value is 256');
  });
});

describe('data sets', () => {
  const three = imageDataset({
    images: Uint8Array.of(1, 2, 3, 4, 5, 6),
    shape: [3, 1, 2, 1],
    labels: Int32Array.of(0, 1, 0),
    classNames: ['a', 'b'],
  });

  it('are cut and joined', () => {
    const cut = subset(three, [2, 0, 2]);
    expect(cut).toEqual({ ...three, images: Uint8Array.of(5, 6, 1, 2, 5, 6), labels: Int32Array.of(0, 0, 0) });
    expect(concatenate([subset(three, [0]), subset(three, [1, 2])])).toEqual(three);
  });

  it.each<[string, () => unknown, string]>([
    [
      'bytes that are not as many as the shape says',
      () => imageDataset({ ...three, shape: [3, 2, 2, 1] }),
      'images has 6',
    ],
    [
      'a label for too few',
      () => imageDataset({ ...three, labels: Int32Array.of(0) }),
      'labels has 1 entries, expected 3',
    ],
    [
      'a label without a name',
      () => imageDataset({ ...three, labels: Int32Array.of(0, 2, 0) }),
      'label 1 is 2, expected 0 to 1',
    ],
    ['an index beyond the set', () => subset(three, [3]), 'index 0 is 3, expected 0 to 2'],
    ['sizes that differ', () => concatenate([three, pad(three, 1)]), 'expected [*,1,2,1]'],
    ['nothing to join', () => concatenate([]), 'no data sets'],
  ])('refuse %s', (_, make, message) => {
    expect(make).toThrow(DatasetError);
    expect(make).toThrow(message);
  });
});
