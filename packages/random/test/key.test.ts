import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { key, split } from '../src/index';

const seed = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const step = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string(), seed);
const path = fc.array(step, { minLength: 1, maxLength: 4 });

describe('keys', () => {
  it('hold the two words of their seed', () => {
    expect(key(0)).toEqual([0, 0]);
    expect(key(2 ** 32 + 5)).toEqual([5, 1]);
    fc.assert(fc.property(seed, (s) => key(s)[0] + key(s)[1] * 2 ** 32 === s));
  });

  it('split by a path in one go or step by step', () => {
    fc.assert(
      fc.property(seed, path, path, (s, a, b) => {
        expect(split(split(key(s), ...a), ...b)).toEqual(split(key(s), ...a, ...b));
      }),
    );
  });

  it('differ wherever their paths do', () => {
    fc.assert(
      fc.property(seed, path, path, (s, a, b) => {
        fc.pre(JSON.stringify(a) !== JSON.stringify(b));
        expect(split(key(s), ...a)).not.toEqual(split(key(s), ...b));
      }),
      { numRuns: 1000 },
    );
  });

  it('tell texts apart that a careless reading would not', () => {
    const paths = [
      ['ab'],
      ['a', 'b'],
      ['a', 'b', ''],
      ['ab\0'],
      ['abcd', 'ef'],
      ['abcdef'],
      ['3'],
      [3],
      [''],
      [0],
      [51],
    ];
    const keys = paths.map((p) => split(key(0), ...p).join());
    expect(new Set(keys).size).toBe(paths.length);
  });

  it('are two words of 32 bits, half of which change with one bit of the seed', () => {
    const bits = (x: number) => x.toString(2).replaceAll('0', '').length;
    let changed = 0;
    for (let i = 0; i < 1000; i++) {
      const [a0, a1] = split(key(i), 'x');
      const [b0, b1] = split(key(i + 2 ** 33), 'x');
      expect([a0, a1].every((word) => Number.isInteger(word) && word >= 0 && word < 2 ** 32)).toBe(true);
      changed += bits((a0 ^ b0) >>> 0) + bits((a1 ^ b1) >>> 0);
    }
    expect(Math.abs(changed / 64_000 - 0.5)).toBeLessThan(0.01);
  });

  it('stay what they are from version to version', () => {
    expect(split(key(7), 'noise', 3)).toEqual([1516340199, 3825525836]);
  });

  it.each([
    [() => key(-1), 'key: seed is -1, expected a whole number from 0 to 2^53 - 1'],
    [() => key(0.5), 'key: seed is 0.5, expected a whole number'],
    [() => split(key(0)), 'split: path is empty, expected at least one name or number'],
    [() => split(key(0), Number.NaN), 'split: a number of the path is NaN, expected a whole number'],
  ])('refuse bad seeds and paths (%#)', (call, message) => {
    expect(call).toThrow(message);
  });
});
