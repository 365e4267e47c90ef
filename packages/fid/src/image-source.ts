import { open, readdir, readFile, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { type DecodedImage, decodeImage, openZip } from '@cm/datasets/node';
import * as tf from '@tensorflow/tfjs-core';
import { openArrayImages } from './array-images';

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
 * [images, height, width, 3], such as ADM's sample files (`arr_0`). Zips and arrays are read from disk image by image.
 *
 * @throws Error when there are none; the file system's error.
 */
export async function openImages(path: string): Promise<ImageSource> {
  if ((await stat(path)).isDirectory()) return fromFolder(path);
  if (!(await beginsAsZip(path))) throw new Error(`${path} is no folder, zip or .npz of images`);
  if (extname(path).toLowerCase() !== '.npz') return fromZip(path);
  const source = await openArrayImages(path);
  requireSome(path, source.count);
  return source;
}

async function beginsAsZip(path: string): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const { buffer } = await file.read(Buffer.alloc(2), 0, 2, 0);
    return buffer.toString('latin1') === 'PK';
  } finally {
    await file.close();
  }
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

function fromZip(path: string): ImageSource {
  const listed = openZip(path);
  listed.close();
  const files = [...listed.entries.keys()].filter(isImage).sort(byPath);
  requireSome(path, files.length);
  return {
    count: files.length,
    async *entries() {
      const archive = openZip(path);
      try {
        for (const file of files) yield entryOf(`${path}/${file}`, archive.read(file));
      } finally {
        archive.close();
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
