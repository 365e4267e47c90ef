function fail(where: string, name: string, expected: string, value: unknown): never {
  throw new RangeError(`${where}: ${name} is ${String(value)}, expected ${expected}`);
}

/** Throws unless the named argument is a finite number greater than zero. */
export function positive(where: string, name: string, value: number): void {
  if (!(Number.isFinite(value) && value > 0)) fail(where, name, 'a finite number above 0', value);
}

/** Throws unless the named argument is a finite number, zero or more. */
export function notNegative(where: string, name: string, value: number): void {
  if (!(Number.isFinite(value) && value >= 0)) fail(where, name, 'a finite number, 0 or more', value);
}

/** Throws unless the named argument is finite. */
export function finite(where: string, name: string, value: number): void {
  if (!Number.isFinite(value)) fail(where, name, 'a finite number', value);
}

/** Throws unless the named argument is a whole number, at least `least`. */
export function whole(where: string, name: string, value: number, least: number): void {
  if (!(Number.isInteger(value) && value >= least)) fail(where, name, `a whole number, at least ${least}`, value);
}

/** Throws unless `holds`, with the same wording as the other checks. */
export function that(where: string, name: string, value: number, holds: boolean, expected: string): void {
  if (!holds) fail(where, name, expected, value);
}
