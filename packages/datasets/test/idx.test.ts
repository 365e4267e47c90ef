import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DatasetError, idxDataset, parseIdx } from '../src/index';
import { idx } from './files';

describe('parseIdx', () => {
  it('reads bytes of any number of dimensions', () => {
    expect(parseIdx(idx(8, [2, 1, 3], [1, 2, 3, 4, 5, 255]))).toEqual({
      shape: [2, 1, 3],
      data: Uint8Array.of(1, 2, 3, 4, 5, 255),
    });
  });

  it.each([
    [9, Int8Array.of(-1, 127), [255, 127]],
    [11, Int16Array.of(-2, 258), [255, 254, 1, 2]],
    [12, Int32Array.of(-2, 16909060), [255, 255, 255, 254, 1, 2, 3, 4]],
    [13, Float32Array.of(1.5, -2), [0x3f, 0xc0, 0, 0, 0xc0, 0, 0, 0]],
    [14, Float64Array.of(1, -2), [0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0]],
  ])('reads type %i, big-endian', (type, data, bytes) => {
    expect(parseIdx(idx(type, [2], bytes))).toEqual({ shape: [2], data });
  });

  it('reads a view into a larger buffer, and copies', () => {
    const file = idx(8, [2], [5, 6]);
    const buffer = Uint8Array.of(9, 9, 9, ...file);
    const { data } = parseIdx(buffer.subarray(3));
    buffer.fill(0);
    expect(data).toEqual(Uint8Array.of(5, 6));
  });

  it.each([
    ['an empty file', new Uint8Array(0), /has 0 bytes/],
    ['another magic number', Uint8Array.of(0x89, 0x50, 0x4e, 0x47), /magic number is 0x89504e47/],
    ['an unknown type', idx(10, [1], [0]), /magic number is 0x00000a01/],
    ['no dimensions', Uint8Array.of(0, 0, 8, 0), /magic number is 0x00000800/],
    ['a header cut short', Uint8Array.of(0, 0, 8, 2, 0, 0, 0, 1), /has 8 bytes, expected a header of 12/],
    ['too few values', idx(8, [3], [1, 2]), /has 10 bytes, expected 11 for an array of shape \[3\]/],
    ['too many values', idx(8, [1], [1, 2]), /has 10 bytes, expected 9/],
    ['sizes beyond memory', idx(14, [2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1], [1]), /expected 6\.3/],
  ])('refuses %s', (_, file, message) => {
    expect(() => parseIdx(file)).toThrow(DatasetError);
    expect(() => parseIdx(file)).toThrow(message);
  });

  it('answers any bytes with an array or a DatasetError', () => {
    const file = idx(8, [2, 3, 2], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    const mutated = fc
      .array(fc.tuple(fc.nat(file.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
      .chain((edits) => fc.tuple(fc.constant(edits), fc.nat(file.length)))
      .map(([edits, length]) => {
        const bytes = Uint8Array.from(file);
        for (const [at, value] of edits) bytes[at] = value;
        return length % 4 === 0 ? bytes.subarray(0, length) : bytes;
      });
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 64 })), (bytes) => {
        try {
          const { shape, data } = parseIdx(bytes);
          expect(data.length).toBe(shape.reduce((product, extent) => product * extent, 1));
        } catch (error) {
          expect(error).toBeInstanceOf(DatasetError);
        }
      }),
      { numRuns: 5000 },
    );
  });
});

describe('idxDataset', () => {
  const images = idx(8, [2, 1, 2], [1, 2, 3, 4]);

  it('pairs images with labels', () => {
    expect(idxDataset({ images, labels: idx(8, [2], [7, 3]) })).toEqual({
      images: Uint8Array.of(1, 2, 3, 4),
      shape: [2, 1, 2, 1],
      labels: Int32Array.of(7, 3),
    });
    expect(idxDataset({ images })).not.toHaveProperty('labels');
  });

  it.each([
    [
      'a file of labels in the place of images',
      idx(8, [4], [1, 2, 3, 4]),
      idx(8, [2], [7, 3]),
      /images is Uint8Array of shape \[4\]/,
    ],
    ['images that are not bytes', idx(9, [1, 1, 1], [1]), idx(8, [1], [7]), /images is Int8Array/],
    ['a file of images in the place of labels', images, images, /labels is Uint8Array of shape \[2,1,2\]/],
    ['another number of labels', images, idx(8, [3], [7, 3, 1]), /labels has 3 entries, expected 2/],
    ['no images', idx(8, [0, 2, 2], []), idx(8, [0], []), /shape is \[0,2,2,1\]/],
  ])('refuses %s', (_, pixels, labels, message) => {
    expect(() => idxDataset({ images: pixels, labels })).toThrow(DatasetError);
    expect(() => idxDataset({ images: pixels, labels })).toThrow(message);
  });
});
