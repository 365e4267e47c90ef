import * as tf from '@tensorflow/tfjs-core';
import { type ImageDataset, imageSize, type StoredImages } from './dataset';
import { DatasetError } from './error';
import { floatRows } from './float';
import { type BatchRows, batchOrder, type OrderOptions } from './order';

/** What a {@link Loader} is made of. */
export interface LoaderOptions extends OrderOptions {
  readonly dataset: ImageDataset;
}

/** What a {@link StoredLoader} is made of. */
export interface StoredLoaderOptions extends OrderOptions {
  readonly dataset: StoredImages;
  /** Batches that are read and decoded before they are asked for. Default 3. */
  readonly ahead?: number;
}

/** One batch, or this process's part of it. */
export interface Batch {
  /** [rows, height, width, channels], float32 in [−1, 1]; the caller's. */
  readonly images: tf.Tensor4D;
  /** The class of each image, when the data set has labels. */
  readonly labels?: Int32Array;
  /** Which image of the data set each row is. */
  readonly indices: Int32Array;
  /** 1 where the row is mirrored, when the loader flips: such a row is not an image of the data set itself. */
  readonly flipped?: Uint8Array;
}

/** A data set in memory as an endless sequence of shuffled batches. */
export interface Loader {
  /**
   * Batch number `position`, from 0. It depends on nothing but the options and the position, so training resumes at any step.
   *
   * @throws DatasetError when the position is not a whole number.
   */
  batchAt(position: number): Batch;
}

/** A stored data set as an endless sequence of shuffled batches, those to come being read meanwhile. */
export interface StoredLoader {
  /**
   * Batch number `position`, from 0, as a {@link Loader} of the same images gives it.
   *
   * @throws DatasetError when the position is not a whole number; naming an image that is damaged.
   */
  batchAt(position: number): Promise<Batch>;
}

/**
 * Shuffled batches by position. Every epoch is a random order of the whole data set of its own, decided by the key and the epoch's number.
 * Batches take the epochs one after another without a gap, so that each image comes exactly once an epoch whatever the batch size. Of
 * images in memory, a batch is made at once; of stored ones (`openEdmDataset`), the batches to come are decoded in threads while one is computed on.
 *
 * @throws DatasetError when the batch size is not a whole number from 1, or the shard no part of it.
 *
 * @example
 * ```ts
 * import { createLoader } from '@cm/datasets';
 * import { key } from '@cm/random';
 *
 * const dataset = { images: new Uint8Array(100 * 12), shape: [100, 2, 2, 3] as const };
 * const loader = createLoader({ dataset, batchSize: 32, key: key(0) });
 * const { images, indices } = loader.batchAt(7); // whatever was asked for before
 * console.log(images.shape, indices.length); // [32, 2, 2, 3] 32
 * images.dispose();
 * ```
 */
export function createLoader(options: LoaderOptions): Loader;
export function createLoader(options: StoredLoaderOptions): StoredLoader;
export function createLoader(options: LoaderOptions | StoredLoaderOptions): Loader | StoredLoader {
  const { shape, labels } = options.dataset;
  const [count, ...image] = shape;
  const rowsAt = batchOrder(count, options);
  const valuesOf: ValuesOf = (bytes, places, { indices, flipped }) =>
    floatRows(bytes, places, [indices.length, ...image], flipped);
  const toBatch: ToBatch = (values, rows) => ({
    images: tf.tensor4d(values, [rows.indices.length, ...image], 'float32'),
    ...(labels && { labels: rows.indices.map((index) => labels[index]!) }),
    ...rows,
  });
  if ('images' in options.dataset) return loaderOf(options.dataset.images, rowsAt, valuesOf, toBatch);
  const { dataset, ahead = 3 } = options as StoredLoaderOptions;
  if (!(Number.isInteger(ahead) && ahead >= 0)) {
    throw new DatasetError(`createLoader: ahead is ${ahead}, expected a whole number`);
  }
  const underway = new Map<number, Promise<Float32Array>>();
  const start = (position: number): Promise<Float32Array> => {
    const known = underway.get(position);
    if (known) return known;
    const rows = rowsAt(position);
    // Values are made as soon as the bytes are there, while the caller waits for something else.
    const values = dataset.read(rows.indices).then((bytes) => {
      if (bytes.length !== rows.indices.length * imageSize(shape)) {
        throw new DatasetError(`batchAt: the data set gave ${bytes.length} bytes for ${rows.indices.length} images`);
      }
      return valuesOf(bytes, undefined, rows);
    });
    // An image that is damaged is an error when its batch is asked for, not before.
    values.catch(() => {});
    underway.set(position, values);
    return values;
  };
  let last = 0;
  const startNext = whenIdle(() => {
    for (const position of underway.keys()) {
      if (position <= last || position > last + ahead) underway.delete(position);
    }
    for (let position = last + 1; position <= last + ahead; position++) start(position);
  });
  return {
    async batchAt(position) {
      const rows = rowsAt(position);
      const values = start(position);
      last = position;
      startNext();
      return toBatch(await values, rows);
    },
  };
}

type ValuesOf = (bytes: Uint8Array, places: ArrayLike<number> | undefined, rows: BatchRows) => Float32Array;
type ToBatch = (values: Float32Array, rows: BatchRows) => Batch;

/** A loader of images in memory. The next batch is made in the time in which the caller waits for a device. */
function loaderOf(
  images: Uint8Array,
  rowsAt: (position: number) => BatchRows,
  valuesOf: ValuesOf,
  toBatch: ToBatch,
): Loader {
  let last = 0;
  let next: { readonly position: number; readonly values: Float32Array } | undefined;
  const make = (position: number) => {
    const rows = rowsAt(position);
    return valuesOf(images, rows.indices, rows);
  };
  const makeNext = whenIdle(() => {
    if (next?.position !== last + 1) next = { position: last + 1, values: make(last + 1) };
  });
  return {
    batchAt(position) {
      const rows = rowsAt(position);
      const values = next?.position === position ? next.values : make(position);
      next = undefined;
      last = position;
      makeNext();
      return toBatch(values, rows);
    },
  };
}

/** Does a task when the caller has gone on and waits for something; once, however often it is asked for until then. */
function whenIdle(task: () => void): () => void {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    setTimeout(() => {
      asked = false;
      task();
    });
  };
}
