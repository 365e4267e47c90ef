import { wholeNumber } from './check';
import { philox, streams } from './kernel';

/** A Philox key, two 32-bit words: it alone decides which numbers a function of this package gives. */
export type Key = readonly [number, number];

/**
 * The key of a seed.
 *
 * @param seed A whole number from 0 to 2^53 − 1; its low and high words are the key's.
 * @throws RangeError for any other number.
 *
 * @example
 * ```ts
 * import { key, split, uniformArray } from '@cm/random';
 *
 * const run = key(42);
 * console.log(uniformArray(split(run, 'noise'), 2)); // [0.544, 0.894]
 * console.log(uniformArray(split(run, 'dropout'), 2)); // [0.627, 0.174]
 * ```
 */
export function key(seed: number): Key {
  wholeNumber('key', 'seed', seed);
  return [seed >>> 0, Math.floor(seed / 2 ** 32)];
}

/**
 * A key of its own for every use: `split(key(0), 'noise', iteration)`. Keys of different paths give independent numbers, and the path
 * says what they are for; `split(split(k, 'a'), 3)` is `split(k, 'a', 3)`. A number and its text, 3 and '3', are different steps.
 *
 * A number is one Philox block, whose first two words are the new key; a text is one for its length and one for every 4 bytes of UTF-8.
 *
 * @param path Names, and whole numbers from 0 to 2^53 − 1.
 * @throws RangeError when a number of the path is not such a one, or the path is empty.
 */
export function split(parent: Key, ...path: readonly (string | number)[]): Key {
  if (path.length === 0) throw new RangeError('split: path is empty, expected at least one name or number');
  return path.reduce<Key>(
    (from, step) => (typeof step === 'number' ? byNumber(from, step) : byText(from, step)),
    parent,
  );
}

function byNumber(parent: Key, step: number): Key {
  wholeNumber('split', 'a number of the path', step);
  return child(parent, streams.splitNumber, step);
}

const encoder = new TextEncoder();

function byText(parent: Key, text: string): Key {
  const bytes = encoder.encode(text);
  // The byte count comes first, so that no text is the beginning of another.
  let from = child(parent, streams.splitText, bytes.length);
  for (let start = 0; start < bytes.length; start += 4) {
    const word = bytes.subarray(start, start + 4).reduce((sum, byte, i) => sum + byte * 2 ** (8 * i), 0);
    from = child(from, streams.splitText, word);
  }
  return from;
}

function child(parent: Key, stream: number, step: number): Key {
  const [word0, word1] = philox(parent, [0, step, Math.floor(step / 2 ** 32), stream]);
  return [word0, word1];
}
