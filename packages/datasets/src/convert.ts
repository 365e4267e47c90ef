import { createHash } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { loadCifar10 } from './cifar10-files';
import { decodePicture } from './decode';
import { defaultThreads, readEdmLabels } from './edm';
import { type EdmSource, sourceOf, type WriteProgress, type WrittenDataset, writeEdmDataset } from './edm-write';
import { DatasetError } from './error';
import { type ImageFiles, openImageFiles, readStored, type StoredFile } from './image-files';
import { createImagePool, type ImagePool } from './image-pool';
import type { Framing } from './image-work';

/** How {@link convertDataset} converts. */
export interface ConvertOptions {
  /** Height and width of the new images. Default: those of the first image, which must be square. */
  readonly resolution?: number;
  /** `adm`: halved by the box filter, resized by the bicubic one, and cut in the middle. `none`: images must have the resolution. Default 'adm'. */
  readonly crop?: 'adm' | 'none';
  /** Of CIFAR-10: the images for training or for tests. Default 'train'. */
  readonly part?: 'train' | 'test';
  /** Threads that decode and resize; 0 is the calling one alone. Default: the machine's, less one, from 1 to 8. */
  readonly threads?: number;
  /** Called as images are written. */
  readonly onProgress?: (progress: WriteProgress) => void;
}

/** What {@link convertDataset} wrote. */
export interface ConvertedDataset extends WrittenDataset {
  readonly resolution: number;
}

/**
 * Makes a data set as EDM and EDM2 read it from
 *
 * - CIFAR-10: a folder or archive that `loadCifar10` reads;
 * - a folder, zip or tar of PNG and JPEG files, labelled by `dataset.json` where there is one, else by the folders they lie in, if there are several: class 0 is the
 *   first in order of names. ImageNet's training set, as a folder or as `ILSVRC2012_img_train.tar`, which is a tar of tars, is such.
 *
 * Everything becomes RGB. A run that was stopped goes on where it was (`writeEdmDataset`); images that cannot be read are left out and returned by name.
 *
 * @throws DatasetError when the source is none of these, or nothing in it can be read.
 */
export async function convertDataset(
  source: string,
  path: string,
  { resolution, crop = 'adm', part = 'train', threads = defaultThreads(), onProgress }: ConvertOptions = {},
): Promise<ConvertedDataset> {
  if (resolution !== undefined && !(Number.isInteger(resolution) && resolution >= 1)) {
    throw new DatasetError(`convertDataset: resolution is ${resolution}, expected a whole number from 1`);
  }
  const options = onProgress ? { onProgress } : {};
  if (isCifar10(source)) {
    const side = resolution ?? 32;
    const images = sourceOf(await loadCifar10(source, part), { crop, resolution: side });
    return { ...(await writeEdmDataset(path, images, options)), resolution: side };
  }
  const pool = createImagePool(threads);
  const files = openImageFiles(source);
  try {
    const side = resolution ?? (await sideOf(files.images[0]!));
    const written = await writeEdmDataset(path, sourceOfFiles(files, { crop, resolution: side }, pool), options);
    return { ...written, resolution: side };
  } finally {
    await pool.close();
    files.close();
  }
}

/** A folder with a batch of CIFAR-10, or a compressed archive, which no other source is. */
function isCifar10(source: string): boolean {
  if (/\.(tar\.gz|tgz)$/i.test(source)) return true;
  const names = ['data_batch_1', 'test_batch'].flatMap((name) => [name, `${name}.bin`, `${name}.png`]);
  return names.some((name) => existsSync(join(source, name)) || existsSync(join(source, `${name}.gz`)));
}

async function sideOf(file: StoredFile): Promise<number> {
  const { height, width } = await decodePicture(file.shown, readStored(file));
  if (height !== width) {
    throw new DatasetError(
      `${file.shown}: is ${width} × ${height}; a resolution is needed where images are not square`,
    );
  }
  return height;
}

/** Images that a thread is given at once, and such groups for each thread that are under way. */
const GROUP = 16;
const AHEAD = 3;

function sourceOfFiles(files: ImageFiles, framing: Framing, pool: ImagePool): EdmSource {
  const { images } = files;
  const labels = files.json ? readEdmLabels(files.json, images) : labelsByFolder(images);
  const start = (from: number) => {
    const group = images.slice(from, from + GROUP);
    const results = pool.run({ kind: 'png', files: group, ...framing });
    // Whoever awaits it sees its error; until then it is not unhandled.
    results.catch(() => {});
    return results;
  };
  return {
    identity: identityOf(images, labels, framing),
    count: images.length,
    async *images(from) {
      const ahead = Math.max(1, AHEAD * pool.threads) * GROUP;
      const underway = new Map<number, ReturnType<typeof start>>();
      for (let at = from; at < images.length; at += GROUP) {
        for (let next = at; next < Math.min(at + ahead, images.length); next += GROUP) {
          if (!underway.has(next)) underway.set(next, start(next));
        }
        const results = await underway.get(at)!;
        underway.delete(at);
        for (const [i, result] of results.entries()) {
          if ('reason' in result) yield { damaged: result.reason };
          else yield { png: result.png, ...(labels && { label: labels[at + i]! }) };
        }
      }
    },
  };
}

/** Numbers of the top-level folders in order of their names, where there are several. */
function labelsByFolder(images: readonly StoredFile[]): Int32Array | undefined {
  const folders = images.map(({ name }) => (name.includes('/') ? name.slice(0, name.indexOf('/')) : ''));
  const names = [...new Set(folders)].sort();
  if (names.length < 2) return undefined;
  const numbers = new Map(names.map((name, i) => [name, i]));
  return Int32Array.from(folders, (name) => numbers.get(name)!);
}

/** Names, sizes, labels and framing: where they are the same, so are the images. */
function identityOf(images: readonly StoredFile[], labels: Int32Array | undefined, framing: Framing): string {
  const hash = createHash('sha256').update(JSON.stringify([framing.crop, framing.resolution]));
  for (const { name, place } of images) {
    const size =
      place.kind === 'file' ? statSync(place.path).size : place.kind === 'zip' ? place.entry.size : place.size;
    hash.update(`${name}\0${size}\0`);
  }
  if (labels) hash.update(labels);
  return hash.digest('hex');
}
