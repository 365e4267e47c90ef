/** A file that is not what it should be: says what, and at which byte. */
export class CheckpointError extends Error {
  override name = 'CheckpointError';
  /** What is wrong. */
  readonly reason: string;
  /** Byte of the file at which it is wrong; inside a compressed entry, byte of what the entry holds. */
  readonly offset: number;

  constructor(reason: string, offset: number) {
    super(`${reason} (at byte ${offset})`);
    this.reason = reason;
    this.offset = offset;
  }
}

/** A value as a message shows it: cut where it is long, and never deeper than one list, for a hostile file has deep ones. */
export function quote(value: unknown): string {
  if (typeof value === 'string')
    return value.length > 100 ? `${JSON.stringify(value.slice(0, 100))}…` : JSON.stringify(value);
  if (Array.isArray(value)) {
    const shown = value.slice(0, 8).map((item) => (Array.isArray(item) ? '[…]' : quote(item)));
    return `[${shown.join(',')}${value.length > 8 ? ',…' : ''}]`;
  }
  if (typeof value === 'object' && value !== null) return '{…}';
  return String(value);
}
