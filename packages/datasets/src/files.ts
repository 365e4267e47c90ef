import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { DatasetError } from './error';
import { readTar } from './tar';

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

/** Reads the first file that is there of these names, raw or gzipped. */
export type FileReader = (...names: string[]) => Promise<{ path: string; bytes: Uint8Array }>;

/**
 * What reads files by name from a folder, or from a tar archive, gzipped or not: there folders within are ignored.
 *
 * @throws DatasetError when there is neither, or the archive cannot be read.
 */
export async function openFolderOrTar(path: string): Promise<FileReader> {
  const kind = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new DatasetError(`${path}: cannot be read (${error.code})`, { cause: error });
  });
  if (!kind.isFile()) return (...names) => readFromFolder(path, ...names);
  const { bytes: tar } = await readOneOf([path]);
  const entries = readTar(path, (offset, length) => tar.subarray(offset, offset + length), 0, tar.length);
  const files = new Map(
    [...entries].map(({ name, offset, size }) => [basename(name), tar.subarray(offset, offset + size)]),
  );
  return async (...names) => {
    const name = names.find((one) => files.has(one));
    if (name === undefined) throw new DatasetError(`${path}: has no ${names.join(', nor ')}`);
    return { path: `${path}/${name}`, bytes: files.get(name)! };
  };
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
