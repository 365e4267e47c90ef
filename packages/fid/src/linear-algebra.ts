import { code } from './linear-algebra.generated';

/** Addresses are in bytes. What each does: native/linear-algebra.c. */
interface Functions {
  subtractProjections(rows: number, row: number, count: number, from: number, size: number): void;
  multiplyTransposed(left: number, right: number, out: number, rows: number, columns: number, size: number): void;
  bidiagonalize(a: number, rows: number, columns: number, beside: number, work: number): void;
}

/** Below are the module's own stack and data. */
const START = 65_536;

let compiled: WebAssembly.Module | undefined;

/**
 * The WebAssembly functions with a memory of their own of `length` zeros of float64, all of them in one array; `addressOf` tells where
 * an element of it lies. Both are collected when they are no longer used.
 */
export function withMemory(length: number): {
  functions: Functions;
  values: Float64Array<ArrayBuffer>;
  addressOf: (at: number) => number;
} {
  compiled ??= new WebAssembly.Module(Uint8Array.from(atob(code), (character) => character.charCodeAt(0)));
  const memory = new WebAssembly.Memory({ initial: Math.ceil((START + 8 * length) / 65_536) });
  const instance = new WebAssembly.Instance(compiled, { env: { memory } });
  return {
    functions: instance.exports as unknown as Functions,
    values: new Float64Array(memory.buffer as ArrayBuffer, START, length),
    addressOf: (at) => START + 8 * at,
  };
}
