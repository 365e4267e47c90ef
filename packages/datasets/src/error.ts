/** What every reader of this package throws when a file is not what it should be; the message says what was expected and what came. */
export class DatasetError extends Error {
  override readonly name = 'DatasetError';
}
