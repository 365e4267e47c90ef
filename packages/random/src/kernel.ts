import type { Key } from './key';
import { wasm } from './philox.generated';

/**
 * The last word of the Philox counter: what the numbers are for. One key gives unrelated numbers to different distributions,
 * so that a key that is used for two of them by mistake does not correlate them.
 */
export const streams = {
  splitNumber: 0,
  splitText: 1,
  uniform: 2,
  normal: 3,
  integer: 4,
  permutation: 5,
  bernoulli: 6,
  normalRows: 7,
  dropoutRows: 8,
} as const;

/** Writes at least `count` numbers to the module's buffer, four from each block, from the block at the given counter on. */
type Fill = (
  key0: number,
  key1: number,
  counter0: number,
  counter1: number,
  counter2: number,
  counter3: number,
  count: number,
) => void;

interface Kernel {
  readonly bits: Fill;
  readonly uniforms: Fill;
  readonly normals: Fill;
  readonly masks: (...args: [...Parameters<Fill>, threshold: number, value: number]) => void;
  readonly words: Uint32Array;
  readonly floats: Float32Array;
}

/** CAPACITY of native/philox.c. */
const capacity = 16384;

let loaded: Kernel | undefined;

function kernel(): Kernel {
  loaded ??= load();
  return loaded;
}

function load(): Kernel {
  const bytes = Uint8Array.from(atob(wasm), (character) => character.charCodeAt(0));
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
  const { memory, address, ...fills } = exports as unknown as Pick<
    Kernel,
    'bits' | 'uniforms' | 'normals' | 'masks'
  > & {
    memory: WebAssembly.Memory;
    address: () => number;
  };
  return {
    ...fills,
    words: new Uint32Array(memory.buffer, address(), capacity),
    floats: new Float32Array(memory.buffer, address(), capacity),
  };
}

/** Where numbers come from: number i is word i mod 4 of the block at counter (⌊i/4⌋, row, row / 2^32, stream). */
export interface Source {
  readonly key: Key;
  readonly stream: number;
  /** Default 0. */
  readonly row?: number;
}

function fillFrom<T extends Float32Array | Uint32Array>(
  target: T,
  buffer: T,
  { key: [key0, key1], stream, row = 0 }: Source,
  fill: Fill,
): T {
  const rowHigh = Math.floor(row / 2 ** 32);
  for (let start = 0; start < target.length; start += capacity) {
    const count = Math.min(capacity, target.length - start);
    fill(key0, key1, start / 4, row, rowHigh, stream, count);
    target.set(count === capacity ? buffer : buffer.subarray(0, count), start);
  }
  return target;
}

/** Philox 4×32-10 itself: the four words of the block at a counter of four words. */
export function philox(
  [key0, key1]: Key,
  [counter0, counter1, counter2, counter3]: readonly [number, number, number, number],
): [number, number, number, number] {
  const { words, bits } = kernel();
  bits(key0, key1, counter0, counter1, counter2, counter3, 4);
  return [words[0]!, words[1]!, words[2]!, words[3]!];
}

/** Fills `target` with the words themselves. */
export function fillBits(target: Uint32Array, source: Source): Uint32Array {
  const { words, bits } = kernel();
  return fillFrom(target, words, source, bits);
}

/** Fills `target` with (w >> 8)/2^24, in [0, 1). */
export function fillUniforms(target: Float32Array, source: Source): Float32Array {
  const { floats, uniforms } = kernel();
  return fillFrom(target, floats, source, uniforms);
}

/** Fills `target` with standard-normal numbers: each pair of words gives a pair of them, by Box and Muller's transformation. */
export function fillNormals(target: Float32Array, source: Source): Float32Array {
  const { floats, normals } = kernel();
  return fillFrom(target, floats, source, normals);
}

/** Fills `target` with `value` where w/2^32 < `probability`, and 0 elsewhere. */
export function fillMasks(target: Float32Array, source: Source, probability: number, value: number): Float32Array {
  const threshold = Math.round(probability * 2 ** 32);
  if (threshold === 2 ** 32) return target.fill(value);
  const { floats, masks } = kernel();
  return fillFrom(target, floats, source, (...where) => masks(...where, threshold, value));
}
