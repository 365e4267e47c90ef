/** A file that is not what it should be: says what, and at which byte. */
export class CheckpointError extends Error {
  override name = 'CheckpointError';
  /** Byte of the file at which it is wrong. */
  readonly offset: number;

  constructor(reason: string, offset: number) {
    super(`${reason} (at byte ${offset})`);
    this.offset = offset;
  }
}
