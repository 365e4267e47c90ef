/** FNV-1a, 32 bit, of a string's UTF-8 bytes. */
export function fnv1a32(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** `n` values in [-1, 1) that depend on nothing but a name: fixtures' weights and inputs are made of them, not stored. */
export function u(name: string, n: number): Float32Array {
  const seed = fnv1a32(name);
  const values = new Float32Array(n);
  for (let i = 0; i < n; i++) {
    let x = (Math.imul(i, 0x9e3779b1) + seed) >>> 0;
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    x = (x ^ (x >>> 16)) >>> 0;
    values[i] = (x >>> 8) / 2 ** 23 - 1;
  }
  return values;
}

/** {@link u} scaled to unit variance, for a row-major array of the given shape. */
export function unit(name: string, shape: readonly number[]): Float32Array {
  const size = shape.reduce((product, extent) => product * extent, 1);
  return u(name, size).map((value) => value * Math.sqrt(3));
}
