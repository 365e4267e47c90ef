/**
 * Marks the memory that a WebAssembly binary defines or imports as shared, in place. Its instructions mean the same on shared memory;
 * the limits, which must name a maximum, stay.
 *
 * @throws if the binary has no memory with a maximum
 */
export function shareMemory(binary: Uint8Array): void {
  let at = 8;
  const number = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = binary[at++]!;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
  };
  const skipName = () => {
    const length = number();
    at += length;
  };
  const skipLimits = () => {
    const flags = number();
    number();
    if (flags & 1) number();
  };
  /** Leaves `at` on the memory's flags where the section of imports has one. */
  const findImport = (): boolean => {
    for (let left = number(); left > 0; left--) {
      skipName();
      skipName();
      const kind = binary[at++];
      if (kind === 2) return true;
      if (kind === 0) {
        number();
      } else if (kind === 1) {
        at++;
        skipLimits();
      } else {
        at += 2;
      }
    }
    return false;
  };
  const importSection = 2;
  const memorySection = 5;
  while (at < binary.length) {
    const id = binary[at++];
    const end = number() + at;
    if ((id === importSection && findImport()) || (id === memorySection && number() > 0)) {
      if ((binary[at]! & 1) === 0) break;
      binary[at]! |= 2;
      return;
    }
    at = end;
  }
  throw new Error('shareMemory: the WebAssembly binary has no memory with a maximum');
}
