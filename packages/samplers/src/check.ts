/** Throws unless the value is a finite noise level above 0. */
export function level(where: string, name: string, value: number): void {
  that(where, name, value, value > 0 && value < Number.POSITIVE_INFINITY, 'a finite noise level above 0');
}

/** Throws unless levels fall from one to the next, all above 0 but the last, which may be 0. */
export function fallingLevels(where: string, levels: readonly number[]): void {
  that(where, 'levels', `[${levels}]`, levels.length > 1, 'at least two');
  levels.forEach((value, i) => {
    if (i < levels.length - 1 || value !== 0) level(where, `levels[${i}]`, value);
    if (i > 0) that(where, `levels[${i}]`, value, value < levels[i - 1]!, `below levels[${i - 1}], ${levels[i - 1]}`);
  });
}

/** Throws unless the value is a whole number between two others. */
export function whole(where: string, name: string, value: number, low: number, high = Number.POSITIVE_INFINITY): void {
  const range = high === Number.POSITIVE_INFINITY ? `at least ${low}` : `from ${low} to ${high}`;
  that(where, name, value, Number.isInteger(value) && value >= low && value <= high, `a whole number, ${range}`);
}

/** Throws unless the value is from 0 to 1. */
export function fraction(where: string, name: string, value: number): void {
  that(where, name, value, value >= 0 && value <= 1, 'from 0 to 1');
}

/** Throws unless `holds`. */
export function that(where: string, name: string, value: unknown, holds: boolean, expected: string): void {
  if (!holds) throw new Error(`${where}: ${name} is ${value}, expected ${expected}`);
}
