import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { readNpz } from '@cm/checkpoints';
import * as tf from '@tensorflow/tfjs-core';
import { unzipSync } from 'fflate';
import { type DecodedImage, decodeImage } from './decode';

/** An image of a source, not decoded yet. */
export interface ImageEntry {
  /** File, or number in an array. */
  readonly name: string;
  /** What its content is: equal bytes are equal images. */
  readonly bytes: Uint8Array;
  /** @throws Error naming the file when it is damaged. */
  decode(): Promise<DecodedImage>;
}

/** Images of a folder, a zip or an array. */
export interface ImageSource {
  readonly count: number;
  /** The images in order: sorted by path, or as they are in the array. */
  entries(): AsyncIterable<ImageEntry>;
}

const extensions = new Set(['.png', '.jpg', '.jpeg']);
const isImage = (path: string) => extensions.has(extname(path).toLowerCase());
const byPath = (a: string, b: string) => (a < b ? -1 : 1);

/**
 * Opens images: a folder (PNG and JPEG files, in all folders below too), a zip of such files, or a `.npz` with a uint8 array of shape
 * [images, height, width, 3], such as ADM's sample files (`arr_0`).
 *
 * @throws Error when there are none; the file system's error.
 */
export async function openImages(path: string): Promise<ImageSource> {
  if ((await stat(path)).isDirectory()) return fromFolder(path);
  const bytes = new Uint8Array(await readFile(path));
  if (extname(path).toLowerCase() === '.npz') return fromArray(path, bytes);
  if (bytes[0] === 0x50 && bytes[1] === 0x4b) return fromZip(path, bytes);
  throw new Error(`${path} is no folder, zip or .npz of images`);
}

const entryOf = (name: string, bytes: Uint8Array): ImageEntry => ({
  name,
  bytes,
  decode: () => decodeImage(name, bytes),
});

async function fromFolder(path: string): Promise<ImageSource> {
  const found = await readdir(path, { recursive: true });
  const files = found.filter(isImage).sort(byPath);
  requireSome(path, files.length);
  return {
    count: files.length,
    async *entries() {
      for (const file of files) {
        const full = join(path, file);
        yield entryOf(full, new Uint8Array(await readFile(full)));
      }
    },
  };
}

/** Files that are inflated at once: each call reads the archive's directory anew. */
const GROUP = 256;

function fromZip(path: string, bytes: Uint8Array): ImageSource {
  const files: string[] = [];
  unzipSync(bytes, {
    filter: ({ name }) => {
      if (isImage(name)) files.push(name);
      return false;
    },
  });
  files.sort(byPath);
  requireSome(path, files.length);
  return {
    count: files.length,
    async *entries() {
      for (let from = 0; from < files.length; from += GROUP) {
        const group = files.slice(from, from + GROUP);
        const wanted = new Set(group);
        const inflated = unzipSync(bytes, { filter: ({ name }) => wanted.has(name) });
        for (const name of group) yield entryOf(`${path}/${name}`, inflated[name]!);
      }
    },
  };
}

function fromArray(path: string, bytes: Uint8Array): ImageSource {
  const arrays = Object.entries(readNpz(bytes));
  const [found] = arrays.filter(([, { dtype, shape }]) => dtype === 'U8' && shape.length === 4 && shape[3] === 3);
  if (!found) {
    const list = arrays.map(([name, { dtype, shape }]) => `${name} ${dtype} [${shape}]`).join(', ');
    throw new Error(`${path} has ${list || 'no arrays'}, expected one U8 [images, height, width, 3]`);
  }
  const [key, array] = found;
  const [count, height, width] = array.shape as [number, number, number];
  requireSome(path, count);
  const { data } = array;
  const size = height * width * 3;
  return {
    count,
    async *entries() {
      for (let i = 0; i < count; i++) {
        const rgb = data.subarray(i * size, (i + 1) * size);
        yield { name: `${path}/${key}[${i}]`, bytes: rgb, decode: async () => ({ height, width, rgb }) };
      }
    },
  };
}

function requireSome(path: string, count: number): void {
  if (count === 0) throw new Error(`${path} has no images, expected PNG or JPEG files`);
}

/** Batches of at most `batch` images, [batch, height, width, 3] in [−1, 1]; a batch ends where the size changes. */
export async function* imageBatches(
  entries: Iterable<ImageEntry> | AsyncIterable<ImageEntry>,
  batch = 32,
): AsyncGenerator<tf.Tensor4D> {
  let gathered: DecodedImage[] = [];
  for await (const entry of entries) {
    const image = await entry.decode();
    const [first] = gathered;
    if (first && (gathered.length === batch || first.height !== image.height || first.width !== image.width)) {
      yield stack(gathered);
      gathered = [];
    }
    gathered.push(image);
  }
  if (gathered.length > 0) yield stack(gathered);
}

function stack(images: readonly DecodedImage[]): tf.Tensor4D {
  const { height, width } = images[0]!;
  const size = height * width * 3;
  const values = new Float32Array(images.length * size);
  for (const [i, { rgb }] of images.entries()) {
    for (let at = 0; at < size; at++) values[i * size + at] = rgb[at]! / 127.5 - 1;
  }
  return tf.tensor4d(values, [images.length, height, width, 3]);
}
