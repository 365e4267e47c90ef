import type { Key } from '../src/index';

export type Words = [number, number, number, number];

/** Philox 4×32-10, written from the paper's description in plain arithmetic, to hold the compiled one against. */
export function referencePhilox(key: Key, counter: Words): Words {
  let [k0, k1] = key.map(BigInt) as [bigint, bigint];
  let [c0, c1, c2, c3] = counter.map(BigInt) as [bigint, bigint, bigint, bigint];
  const word = 0xffffffffn;
  for (let round = 0; round < 10; round++) {
    const left = c0 * 0xd2511f53n;
    const right = c2 * 0xcd9e8d57n;
    [c0, c1, c2, c3] = [(right >> 32n) ^ c1 ^ k0, right & word, (left >> 32n) ^ c3 ^ k1, left & word];
    k0 = (k0 + 0x9e3779b9n) & word;
    k1 = (k1 + 0xbb67ae85n) & word;
  }
  return [c0, c1, c2, c3].map(Number) as Words;
}

/** Words `from` to `to` − 1 of a row of a stream. */
export function referenceWords(key: Key, stream: number, from: number, to: number, row = 0): number[] {
  const words: number[] = [];
  for (let i = from; i < to; i++) {
    words.push(referencePhilox(key, [i >>> 2, row >>> 0, Math.floor(row / 2 ** 32), stream])[i & 3]!);
  }
  return words;
}

/** Box and Muller's transformation of an even number of words, in float64. */
export function referenceNormals(words: readonly number[]): number[] {
  return words.map((_, i) => {
    const a = words[i & ~1]!;
    const b = words[i | 1]!;
    const radius = Math.sqrt(-2 * Math.log((a + 0.5) / 2 ** 32));
    const angle = (((b << 2) / 2 ** 31) * Math.PI) / 4;
    const sine = radius * Math.sin(angle);
    const cosine = radius * Math.cos(angle) * (b >= 2 ** 31 ? -1 : 1);
    const swapped = (b & 0x40000000) !== 0;
    return ((i & 1) === 0) === swapped ? sine : cosine;
  });
}
