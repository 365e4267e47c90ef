/** Where two values differ. */
export interface Difference {
  /** `recipe.schedule.q`. */
  readonly path: string;
  readonly a: string;
  readonly b: string;
}

/** All places at which two plain values differ, in words. What JSON leaves out is not compared. */
export function differences(a: unknown, b: unknown, path = ''): Difference[] {
  if (isObject(a) && isObject(b)) {
    const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])];
    return keys.flatMap((key) => differences(a[key], b[key], path ? `${path}.${key}` : key));
  }
  return JSON.stringify(a) === JSON.stringify(b) ? [] : [{ path, a: shown(a), b: shown(b) }];
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const shown = (value: unknown) => (value === undefined ? 'none' : JSON.stringify(value));
