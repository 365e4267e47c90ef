/** Throws unless the named argument is a whole number in [0, 2^53). */
export function wholeNumber(where: string, name: string, value: number): void {
  if (!(Number.isSafeInteger(value) && value >= 0)) {
    throw new RangeError(`${where}: ${name} is ${String(value)}, expected a whole number from 0 to 2^53 - 1`);
  }
}

/** Throws unless the named argument is a probability. */
export function probability(where: string, name: string, value: number): void {
  if (!(value >= 0 && value <= 1)) throw new RangeError(`${where}: ${name} is ${String(value)}, expected 0 to 1`);
}

/** The number of elements of a shape; throws unless all its extents are whole numbers. */
export function sizeOf(where: string, shape: readonly number[]): number {
  let size = 1;
  shape.forEach((extent, axis) => {
    wholeNumber(where, `shape[${axis}]`, extent);
    size *= extent;
  });
  return size;
}
