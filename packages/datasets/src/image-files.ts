import { closeSync, fstatSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { extname, join, sep } from 'node:path';
import { DatasetError } from './error';
import { readExactly } from './read';
import { readTar } from './tar';
import { defaultMaxEntryBytes, openZip, readEntry, type ZipEntry } from './zip';

/** A file that can be read from any thread of the process: on disk, or within an open archive. */
export interface StoredFile {
  /** Path within the folder or archive, with `/` between segments. */
  readonly name: string;
  /** What messages call it: the folder's or archive's path, and the name. */
  readonly shown: string;
  readonly place:
    | { readonly kind: 'file'; readonly path: string }
    | { readonly kind: 'range'; readonly fd: number; readonly offset: number; readonly size: number }
    | { readonly kind: 'zip'; readonly fd: number; readonly entry: ZipEntry };
}

/** The images of a folder or archive. */
export interface ImageFiles {
  readonly path: string;
  /** Sorted by name, as Python sorts. */
  readonly images: readonly StoredFile[];
  /** `dataset.json` of EDM's data sets. */
  readonly json?: StoredFile;
  /** Closes the files: images can be read no longer. */
  close(): void;
}

/**
 * The bytes of a stored file.
 *
 * @throws DatasetError naming it when it cannot be read, is damaged or larger than a quarter of a GiB.
 */
export function readStored({ shown, place }: StoredFile): Uint8Array {
  if (place.kind === 'zip') return readEntry(shown, place.fd, place.entry);
  if (place.kind === 'range') return new Uint8Array(readExactly(shown, place.fd, place.offset, place.size).buffer);
  try {
    const { size } = statSync(place.path);
    if (size > defaultMaxEntryBytes)
      throw new DatasetError(`${shown}: has ${size} bytes, expected at most ${defaultMaxEntryBytes}`);
    const bytes = readFileSync(place.path);
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  } catch (error) {
    if (error instanceof DatasetError) throw error;
    throw new DatasetError(`${shown}: cannot be read (${(error as NodeJS.ErrnoException).code})`, { cause: error });
  }
}

const extensions = new Set(['.png', '.jpg', '.jpeg', '.npy']);
const isImage = (name: string) => extensions.has(extname(name).toLowerCase());

/**
 * Opens the images (PNG, JPEG, `.npy`) of a folder and those below, a zip, a tar, or a tar of tars, as ImageNet comes: there the images of
 * `n01440764.tar` are named `n01440764/…`, as if it had been unpacked to a folder.
 *
 * @throws DatasetError when there are none, or the archive is damaged.
 */
export function openImageFiles(path: string): ImageFiles {
  const all = openFiles(path);
  const images = all.files.filter(({ name }) => isImage(name)).sort((a, b) => (a.name < b.name ? -1 : 1));
  const json = all.files.find(({ name }) => name === 'dataset.json');
  if (images.length === 0) {
    all.close();
    throw new DatasetError(`${path}: has no images, expected PNG, JPEG or .npy files`);
  }
  for (let i = 1; i < images.length; i++) {
    if (images[i]!.name === images[i - 1]!.name) {
      all.close();
      throw new DatasetError(`${images[i]!.shown}: comes twice`);
    }
  }
  return { path, images, ...(json && { json }), close: all.close };
}

interface OpenFiles {
  readonly files: StoredFile[];
  close(): void;
}

function openFiles(path: string): OpenFiles {
  let isFolder: boolean;
  try {
    isFolder = statSync(path).isDirectory();
  } catch (error) {
    throw new DatasetError(`${path}: cannot be read (${(error as NodeJS.ErrnoException).code})`, { cause: error });
  }
  if (isFolder) return filesOfFolder(path);
  const extension = extname(path).toLowerCase();
  if (extension === '.zip') return filesOfZip(path);
  if (extension === '.tar') return filesOfTar(path);
  throw new DatasetError(`${path}: is no folder, .zip or .tar`);
}

function filesOfFolder(path: string): OpenFiles {
  const files = (readdirSync(path, { recursive: true }) as string[])
    .filter((name) => isImage(name) || name === 'dataset.json')
    .map((relative): StoredFile => {
      const name = relative.split(sep).join('/');
      return { name, shown: `${path}/${name}`, place: { kind: 'file', path: join(path, relative) } };
    });
  return { files, close: () => {} };
}

function filesOfZip(path: string): OpenFiles {
  const { fd, entries, close } = openZip(path);
  const files = [...entries.values()].map(
    (entry): StoredFile => ({ name: entry.name, shown: `${path}/${entry.name}`, place: { kind: 'zip', fd, entry } }),
  );
  return { files, close };
}

function filesOfTar(path: string): OpenFiles {
  const fd = openSync(path, 'r');
  try {
    const read = (offset: number, length: number) => readExactly(path, fd, offset, length);
    const files: StoredFile[] = [];
    const add = (name: string, offset: number, size: number) =>
      files.push({ name, shown: `${path}/${name}`, place: { kind: 'range', fd, offset, size } });
    for (const { name, offset, size } of readTar(path, read, 0, fstatSync(fd).size)) {
      if (extname(name) !== '.tar') add(name, offset, size);
      else {
        const folder = name.slice(0, -'.tar'.length);
        for (const inner of readTar(`${path}/${name}`, read, offset, offset + size)) {
          add(`${folder}/${inner.name}`, inner.offset, inner.size);
        }
      }
    }
    return { files, close: () => closeSync(fd) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
