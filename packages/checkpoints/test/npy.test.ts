import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesOf, type DType, openCheckpoint, readNpy, readNpz, writeNpy, writeNpz } from '../src';
import { fixture, numbers } from './files';

describe('statistics as NumPy saves them', () => {
  it.each(['statistics.npz', 'statistics-compressed.npz'])('%s has a mean and a covariance in float64', (name) => {
    const { format, tensors } = openCheckpoint(fixture(name));
    expect(format).toBe('npz');
    expect(tensors.mu).toMatchObject({ dtype: 'F64', shape: [5] });
    expect(tensors.sigma).toMatchObject({ dtype: 'F64', shape: [5, 5] });
    // NumPy's default_rng(0).
    const sigma = new Float64Array(new Uint8Array(tensors.sigma!.data).buffer);
    for (let i = 0; i < 5; i++) for (let j = 0; j < i; j++) expect(sigma[5 * i + j]).toBe(sigma[5 * j + i]);
    expect(sigma[0]).toBeCloseTo(1.0249, 0);
  });

  it('are the same compressed and not', () => {
    const [a, b] = [readNpz(fixture('statistics.npz')), readNpz(fixture('statistics-compressed.npz'))];
    for (const name of ['mu', 'sigma']) expect(new Uint8Array(a[name]!.data)).toEqual(new Uint8Array(b[name]!.data));
  });
});

it('images as NumPy saves them are bytes', () => {
  const { arr_0: images } = readNpz(fixture('images.npz'));
  expect(images).toMatchObject({ dtype: 'U8', shape: [2, 4, 4, 3] });
  expect(numbers(images!)).toEqual(Array.from({ length: 96 }, (_, i) => i));
});

it('column-major and big-endian arrays come out row-major and little-endian', () => {
  const fortran = readNpy(fixture('fortran.npy'));
  expect([fortran.dtype, fortran.shape, numbers(fortran)]).toEqual(['I16', [2, 3], [0, 1, 2, 3, 4, 5]]);
  const big = readNpy(fixture('big-endian.npy'));
  expect([big.dtype, numbers(big)]).toEqual(['F64', [0, 1, 2, 3, 4, 5]]);
});

it('arrays of every type and shape come back as they were written', () => {
  const dtype = fc.constantFrom(...(Object.keys(bytesOf) as DType[]).filter((name) => name !== 'BF16'));
  const array = fc.tuple(dtype, fc.array(fc.nat(4), { maxLength: 4 })).chain(([name, shape]) => {
    const size = shape.reduce((product, extent) => product * extent, bytesOf[name]);
    return fc.uint8Array({ minLength: size, maxLength: size }).map((data) => ({ dtype: name, shape, data }));
  });
  fc.assert(
    fc.property(array, array, (a, b) => {
      const back = readNpz(writeNpz({ a, 'b/c': b }));
      for (const [name, { dtype, shape, data }] of Object.entries({ a, 'b/c': b })) {
        expect(back[name]).toMatchObject({ dtype, shape });
        expect(new Uint8Array(back[name]!.data)).toEqual(new Uint8Array(data));
      }
      expect((writeNpy(a).length - a.data.length) % 64).toBe(0);
    }),
  );
});

it('what NumPy has no type for, or does not fit, is not written', () => {
  expect(() => writeNpy({ dtype: 'BF16', shape: [1], data: new Uint8Array(2) })).toThrow('no type for BF16');
  expect(() => writeNpy({ dtype: 'F32', shape: [2], data: new Uint8Array(4) })).toThrow('4 bytes, expected 8');
});
