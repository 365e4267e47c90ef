import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { integerArray, key, normalArray, permutation, uniformArray } from '../src/index';

const seed = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const length = fc.integer({ min: 0, max: 200 });

describe('arrays', () => {
  it.each([
    ['uniformArray', uniformArray],
    ['normalArray', normalArray],
    ['integerArray', (k: ReturnType<typeof key>, n: number) => integerArray(k, n, { high: 10 })],
  ])('%s of a smaller n is the beginning of that of a larger one', (_, make) => {
    fc.assert(
      fc.property(seed, length, length, (s, a, b) => {
        const [short, long] = [Math.min(a, b), Math.max(a, b)];
        expect(make(key(s), short)).toEqual(make(key(s), long).subarray(0, short));
      }),
    );
    expect(make(key(1), 16_384)).toEqual(make(key(1), 40_000).subarray(0, 16_384));
  });

  it('do not share memory with one another', () => {
    const first = normalArray(key(1), 100);
    const copy = first.slice();
    normalArray(key(2), 100);
    expect(first).toEqual(copy);
  });

  it('uniformArray stays in [0, 1)', () => {
    const values = uniformArray(key(8), 1_000_000);
    expect(values.every((u) => u >= 0 && u < 1)).toBe(true);
  });

  it('integerArray reaches both ends of its range and no further', () => {
    const range = fc.record({ low: fc.integer({ min: -50, max: 50 }), width: fc.integer({ min: 1, max: 5 }) });
    fc.assert(
      fc.property(seed, range, (s, { low, width }) => {
        const values = new Set(integerArray(key(s), 200, { low, high: low + width }));
        expect([...values].sort((a, b) => a - b)).toEqual(Array.from({ length: width }, (_, i) => low + i));
      }),
    );
    const widest = integerArray(key(1), 10_000, { low: -(2 ** 31), high: 2 ** 31 });
    expect(Math.min(...widest)).toBeLessThan(-2.14e9);
    expect(Math.max(...widest)).toBeGreaterThan(2.14e9);
  });

  it('permutation has every number once', () => {
    fc.assert(
      fc.property(seed, length, (s, n) => {
        expect([...permutation(key(s), n)].sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
      }),
    );
  });

  it.each([
    [() => normalArray(key(0), -1), 'normalArray: n is -1, expected a whole number from 0 to 2^53 - 1'],
    [() => uniformArray(key(0), 1.5), 'uniformArray: n is 1.5, expected a whole number'],
    [
      () => integerArray(key(0), 1, { high: 0 }),
      'integerArray: range is [0, 0), expected 32-bit integers with low < high',
    ],
    [() => integerArray(key(0), 1, { low: 0.5, high: 2 }), 'integerArray: range is [0.5, 2), expected 32-bit integers'],
    [() => permutation(key(0), 2 ** 32), 'permutation: n is 4294967296, expected below 2^32'],
  ])('refuse bad arguments (%#)', (call, message) => {
    expect(call).toThrow(message);
  });
});
