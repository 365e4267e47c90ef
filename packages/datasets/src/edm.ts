import { availableParallelism } from 'node:os';
import { type ImageDataset, imageDataset, imageSize, type StoredImages } from './dataset';
import { decodePicture } from './decode';
import { DatasetError } from './error';
import { openImageFiles, readStored, type StoredFile } from './image-files';
import { createImagePool } from './image-pool';

/** How {@link openEdmDataset} reads. */
export interface EdmOptions {
  /** Threads that read and decode; 0 is the calling one alone. Default: the machine's, less one, from 1 to 8. */
  readonly threads?: number;
}

/** Images that a thread is given at once. */
const CHUNK = 32;

/** One for the network's thread is left. */
export const defaultThreads = () => Math.max(1, Math.min(8, availableParallelism() - 1));

/**
 * Opens a data set of EDM, EDM2 or StyleGAN: a zip or folder of PNG (or JPEG) images or `.npy` arrays of bytes [channels, height, width], all of one size, with
 * labels in `dataset.json`: `{"labels": [["00000/img00000000.png", 3], …]}`, or null or no such file where there are none. Images are in
 * the order of their names, as EDM has them. Only the directory and the first image are read now.
 *
 * @throws DatasetError naming file and entry when there are no images, the archive is damaged, or the labels are no whole numbers, one for each image.
 */
export async function openEdmDataset(
  path: string,
  { threads = defaultThreads() }: EdmOptions = {},
): Promise<StoredImages> {
  const pool = createImagePool(threads);
  const files = openImageFiles(path);
  try {
    const { images } = files;
    const first = await decodePicture(images[0]!.shown, readStored(images[0]!));
    const shape = [images.length, first.height, first.width, first.channels] as const;
    const labels = files.json && readEdmLabels(files.json, images);
    const imageShape = [first.height, first.width, first.channels] as const;
    const size = imageSize(shape);
    return {
      shape,
      ...(labels && { labels }),
      async read(indices) {
        const wanted = Array.from(indices, (index, i) => {
          const file = images[index];
          if (!file) throw new DatasetError(`read: index ${i} is ${index}, expected 0 to ${images.length - 1}`);
          return file;
        });
        const bytes = new Uint8Array(wanted.length * size);
        const each = Math.min(CHUNK, Math.ceil(wanted.length / Math.max(1, pool.threads)));
        const chunks: Promise<void>[] = [];
        for (let from = 0; from < wanted.length; from += each) {
          const job = { kind: 'pixels', files: wanted.slice(from, from + each), shape: imageShape } as const;
          chunks.push(pool.run(job).then((pixels) => bytes.set(pixels, from * size)));
        }
        await Promise.all(chunks);
        return bytes;
      },
      async close() {
        await pool.close();
        files.close();
      },
    };
  } catch (error) {
    files.close();
    throw error;
  }
}

/**
 * All images of a data set in memory.
 *
 * @param onProgress Told how many are read.
 * @throws DatasetError naming an image that is damaged; RangeError when they are more than an array can hold (some GiB).
 */
export async function loadImages(
  stored: StoredImages,
  onProgress?: (done: number, total: number) => void,
): Promise<ImageDataset> {
  const { shape, labels, classNames } = stored;
  const size = imageSize(shape);
  const images = new Uint8Array(shape[0] * size);
  const step = 1024;
  for (let from = 0; from < shape[0]; from += step) {
    const count = Math.min(step, shape[0] - from);
    images.set(await stored.read(Uint32Array.from({ length: count }, (_, i) => from + i)), from * size);
    onProgress?.(from + count, shape[0]);
  }
  return imageDataset({ images, shape, ...(labels && { labels }), ...(classNames && { classNames }) });
}

/**
 * The labels in a `dataset.json`, in the order of the images; none where it says null.
 *
 * @throws DatasetError when it is not of that form, or its names are not those of the images.
 */
export function readEdmLabels(json: StoredFile, images: readonly StoredFile[]): Int32Array | undefined {
  const fail = (reason: string, cause?: unknown): never => {
    throw new DatasetError(`${json.shown}: ${reason}`, { cause });
  };
  const list = parseLabels(readStored(json), fail);
  if (list === null) return undefined;
  const byName = new Map<string, number>();
  for (const [i, entry] of list.entries()) {
    const [name, label] =
      Array.isArray(entry) && entry.length === 2 ? entry : fail(`label ${i} is no pair of name and class`);
    if (typeof name !== 'string') return fail(`label ${i} has no name`);
    if (!(Number.isInteger(label) && label >= 0 && label < 2 ** 31)) {
      fail(`label of ${name} is ${JSON.stringify(label)}, expected a whole number`);
    }
    if (byName.has(name)) fail(`${name} has two labels`);
    byName.set(name, label);
  }
  const labels = new Int32Array(images.length);
  for (const [i, { name }] of images.entries()) {
    labels[i] = byName.get(name) ?? fail(`${name} has no label`);
    byName.delete(name);
  }
  const [left] = byName.keys();
  if (left !== undefined) fail(`${left} has a label, but is not there`);
  return labels;
}

function parseLabels(bytes: Uint8Array, fail: (reason: string, cause?: unknown) => never): unknown[] | null {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    return fail(`is no JSON (${(error as Error).message})`, error);
  }
  const labels = typeof value === 'object' && value !== null && 'labels' in value ? value.labels : undefined;
  if (labels === null || Array.isArray(labels)) return labels;
  return fail('has no list of labels');
}
