import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { key, normalArray, philox, uniformArray } from '../src/index';
import { fillNormals, streams } from '../src/kernel';
import { sourceSha256 } from '../src/philox.generated';
import { referenceNormals, referencePhilox, referenceWords, type Words } from './reference';

const word = fc.integer({ min: 0, max: 2 ** 32 - 1 });

describe('Philox 4×32-10', () => {
  const all = 0xffffffff;
  it.each<{ k: [number, number]; counter: Words; expected: Words }>([
    { k: [0, 0], counter: [0, 0, 0, 0], expected: [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8] },
    { k: [all, all], counter: [all, all, all, all], expected: [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd] },
    {
      k: [0xa4093822, 0x299f31d0],
      counter: [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      expected: [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    },
  ])('gives the known answer $expected of Random123', ({ k, counter, expected }) => {
    expect(philox(k, counter)).toEqual(expected);
    expect(referencePhilox(k, counter)).toEqual(expected);
  });

  it('is what the plain reference says at any key and counter', () => {
    fc.assert(
      fc.property(fc.tuple(word, word), fc.tuple(word, word, word, word), (k, counter) => {
        expect(philox(k, counter)).toEqual(referencePhilox(k, counter));
      }),
    );
  });
});

describe('the compiled kernel', () => {
  it('is compiled from the C source beside it (else run build:wasm)', () => {
    const source = readFileSync(new URL('../src/native/philox.c', import.meta.url));
    expect(createHash('sha256').update(source).digest('hex')).toBe(sourceSha256);
  });

  // The buffer holds 16,384 numbers: the window lies across its end, and the array ends within a vector.
  const [from, to] = [16_300, 16_485];

  it('makes uniform numbers of the words in order', () => {
    const expected = referenceWords(key(5), streams.uniform, from, to).map((w) => (w >>> 8) / 2 ** 24);
    expect([...uniformArray(key(5), to).subarray(from)]).toEqual(expected);
  });

  it('makes normal numbers of pairs of words', () => {
    const words = referenceWords(key(5), streams.normal, from, to + 1);
    const expected = referenceNormals(words);
    normalArray(key(5), to)
      .subarray(from)
      .forEach((z, i) => {
        expect(Math.abs(z - expected[i]!)).toBeLessThan(1e-6);
      });
  });

  it('counts rows beyond 2^32', () => {
    const row = 2 ** 40 + 7;
    const expected = referenceNormals(referenceWords(key(5), streams.normalRows, 0, 8, row));
    const actual = fillNormals(new Float32Array(8), { key: key(5), stream: streams.normalRows, row });
    actual.forEach((z, i) => {
      expect(Math.abs(z - expected[i]!)).toBeLessThan(1e-6);
    });
  });

  it('rounds normal numbers to within 3 units in the last place of their pair, in the middle and in the tails', () => {
    const z = normalArray(key(11), 4_000_000);
    const extremes = Array.from(z.keys()).filter((i) => Math.abs(z[i]!) > 4.3);
    const middle = Array.from({ length: 4000 }, (_, i) => i);
    expect(extremes.length).toBeGreaterThan(30);
    for (const i of [...middle, ...extremes]) {
      const first = i & ~1;
      const pair = referenceNormals(referenceWords(key(11), streams.normal, first, first + 2));
      expect(Math.abs(z[i]! - pair[i - first]!)).toBeLessThan(3 * 2 ** -23 * Math.hypot(...pair));
    }
  });

  it('gives these very bits on every machine', () => {
    const bits = (values: Float32Array) => createHash('sha256').update(new Uint8Array(values.buffer)).digest('hex');
    expect(bits(normalArray(key(2024), 1_000_000))).toBe(
      'f807577297608ead89f46bbd78c4ba256eb2068549af84cb5ffd4ccbe1fb2aaf',
    );
    expect(bits(uniformArray(key(2024), 1_000_000))).toBe(
      '26ef7969ed0cb4e4cc36f91f8543970b84403f1dfcc00adb6194fd9c26260f83',
    );
  });
});
