import { readSync } from 'node:fs';
import { DatasetError } from './error';

/**
 * So many bytes of an open file, from `offset` on. `shown` is what messages call it.
 *
 * @throws DatasetError when the file ends before, or cannot be read.
 */
export function readExactly(shown: string, fd: number, offset: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length);
  let done = 0;
  while (done < length) {
    let count: number;
    try {
      count = readSync(fd, bytes, done, length - done, offset + done);
    } catch (error) {
      throw new DatasetError(`${shown}: cannot be read (${(error as NodeJS.ErrnoException).code})`, { cause: error });
    }
    if (count === 0) throw new DatasetError(`${shown}: the file ends ${length - done} bytes early`);
    done += count;
  }
  return bytes;
}
