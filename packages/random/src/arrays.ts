import { wholeNumber } from './check';
import { fillBits, fillMasks, fillNormals, fillUniforms, streams } from './kernel';
import type { Key } from './key';

/**
 * `n` numbers uniform in [0, 1), multiples of 2^−24.
 * A longer array of the same key begins with the shorter one; so do those of the other functions but {@link permutation}.
 *
 * @throws RangeError when `n` is not a whole number.
 */
export function uniformArray(key: Key, n: number): Float32Array {
  wholeNumber('uniformArray', 'n', n);
  return fillUniforms(new Float32Array(n), { key, stream: streams.uniform });
}

/**
 * `n` standard-normal numbers, by Box and Muller's transformation of 32-bit uniform numbers: |z| reaches 6.8.
 * Bit for bit the same on every machine.
 *
 * @throws RangeError when `n` is not a whole number.
 *
 * @example
 * ```ts
 * import { key, normalArray } from '@cm/random';
 *
 * const z = normalArray(key(0), 100_000);
 * console.log(z.reduce((sum, value) => sum + value ** 2, 0) / z.length); // 0.999
 * ```
 */
export function normalArray(key: Key, n: number): Float32Array {
  wholeNumber('normalArray', 'n', n);
  return fillNormals(new Float32Array(n), { key, stream: streams.normal });
}

/** The range of integers, `low` ≤ i < `high`. */
export interface IntegerRange {
  /** The smallest. Default 0. */
  readonly low?: number;
  /** One more than the largest. */
  readonly high: number;
}

/**
 * `n` integers uniform in [low, high).
 *
 * @throws RangeError when `n` is not a whole number, or `low` and `high` are not 32-bit integers (2^31 for `high`) with `low` < `high`.
 */
export function integerArray(key: Key, n: number, { low = 0, high }: IntegerRange): Int32Array {
  wholeNumber('integerArray', 'n', n);
  if (!(Number.isInteger(low) && Number.isInteger(high) && -(2 ** 31) <= low && low < high && high <= 2 ** 31)) {
    throw new RangeError(`integerArray: range is [${low}, ${high}), expected 32-bit integers with low < high`);
  }
  const fractions = doubles(key, n, streams.integer);
  const integers = new Int32Array(n);
  for (let i = 0; i < n; i++) integers[i] = low + Math.floor(fractions[i]! * (high - low));
  return integers;
}

/**
 * The numbers 0 to n − 1 in random order (Fisher and Yates's shuffle), each order equally likely.
 *
 * @throws RangeError when `n` is not a whole number below 2^32.
 *
 * @example
 * ```ts
 * import { key, permutation } from '@cm/random';
 *
 * console.log(permutation(key(1), 5)); // [4, 2, 1, 3, 0]
 * ```
 */
export function permutation(key: Key, n: number): Uint32Array {
  wholeNumber('permutation', 'n', n);
  if (n >= 2 ** 32) throw new RangeError(`permutation: n is ${n}, expected below 2^32`);
  const order = new Uint32Array(n);
  for (let i = 0; i < n; i++) order[i] = i;
  const fractions = doubles(key, n, streams.permutation);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(fractions[i]! * (i + 1));
    const moved = order[i]!;
    order[i] = order[j]!;
    order[j] = moved;
  }
  return order;
}

/** `n` bytes, 1 with probability `p` and otherwise 0. `p` is checked by the caller. */
export function bernoulliArray(key: Key, n: number, p: number): Uint8Array {
  return new Uint8Array(fillMasks(new Float32Array(n), { key, stream: streams.bernoulli }, p, 1));
}

/** `n` numbers in [0, 1) of 53 bits, two words each: fine enough for any 32-bit range without a bias that shows. */
function doubles(key: Key, n: number, stream: number): Float64Array {
  const words = fillBits(new Uint32Array(2 * n), { key, stream });
  const fractions = new Float64Array(n);
  for (let i = 0; i < n; i++) fractions[i] = ((words[2 * i]! >>> 5) * 2 ** 26 + (words[2 * i + 1]! >>> 6)) * 2 ** -53;
  return fractions;
}
