import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { DatasetError } from './error';

/** Larger than any file of these data sets; a compressed file that grows beyond it is not one of them. */
const maxBytes = 2 ** 30;

const unzip = promisify(gunzip);

/**
 * The bytes of the first of these files that is there, unpacked if it is gzipped (told by its first bytes, whatever its name).
 *
 * @throws DatasetError when none of them can be read.
 */
export async function readOneOf(paths: readonly string[]): Promise<{ path: string; bytes: Uint8Array }> {
  for (const path of paths) {
    let bytes: Uint8Array;
    try {
      bytes = await readFile(path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ENOTDIR') continue;
      throw new DatasetError(`${path}: cannot be read (${code})`, { cause: error });
    }
    if (!(bytes[0] === 0x1f && bytes[1] === 0x8b)) return { path, bytes };
    try {
      return { path, bytes: await unzip(bytes, { maxOutputLength: maxBytes }) };
    } catch (error) {
      throw new DatasetError(`${path}: is gzipped, but does not unpack (${(error as Error).message})`, {
        cause: error,
      });
    }
  }
  throw new DatasetError(`no such file: ${paths.join(', nor ')}`);
}

/** {@link readOneOf} of names in a folder, each also with `.gz`. */
export function readFromFolder(folder: string, ...names: string[]) {
  return readOneOf(names.flatMap((name) => [join(folder, name), join(folder, `${name}.gz`)]));
}

/** Runs a parser, and puts the file's name before what it complains of. */
export function naming<T>(path: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof DatasetError) throw new DatasetError(`${path}: ${error.message}`, { cause: error });
    throw error;
  }
}
