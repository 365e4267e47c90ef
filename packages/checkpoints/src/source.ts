/** A file that is read in parts. */
export interface Source {
  readonly size: number;
  /** The bytes from `begin` to `end`, which lie within the file. */
  read(begin: number, end: number): Uint8Array;
}

/** A file that is in memory: its parts are views. */
export const sourceOf = (bytes: Uint8Array): Source => ({
  size: bytes.length,
  read: (begin, end) => bytes.subarray(begin, end),
});
