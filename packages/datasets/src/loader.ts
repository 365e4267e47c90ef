import { integerArray, type Key, permutation, split } from '@cm/random';
import type * as tf from '@tensorflow/tfjs-core';
import { type ImageDataset, imageSize } from './dataset';
import { DatasetError } from './error';
import { toFloat } from './float';

/** What a {@link Loader} is made of. */
export interface LoaderOptions {
  readonly dataset: ImageDataset;
  /** Images of a batch: a whole number from 1, which may exceed the data set's count. */
  readonly batchSize: number;
  /** Decides the order of every epoch, and the flips. */
  readonly key: Key;
  /** Mirror each image left to right with probability one half, anew in every epoch. Default false. */
  readonly flip?: boolean;
}

/** One batch. */
export interface Batch {
  /** [batchSize, height, width, channels], float32 in [−1, 1]; the caller's. */
  readonly images: tf.Tensor4D;
  /** The class of each image, when the data set has labels. */
  readonly labels?: Int32Array;
  /** Which image of the data set each row is. */
  readonly indices: Int32Array;
  /** 1 where the row is mirrored, when the loader flips: such a row is not an image of the data set itself. */
  readonly flipped?: Uint8Array;
}

/** A data set as an endless sequence of shuffled batches. */
export interface Loader {
  /**
   * Batch number `position`, from 0. It depends on nothing but the options and the position, so training resumes at any step.
   *
   * @throws DatasetError when the position is not a whole number.
   */
  batchAt(position: number): Batch;
}

/**
 * Shuffled batches by position. Every epoch is a random order of the whole data set of its own, decided by the key and the epoch's number.
 * Batches take the epochs one after another without a gap, so that each image comes exactly once an epoch whatever the batch size.
 *
 * @throws DatasetError when the batch size is not a whole number from 1.
 */
export function createLoader({ dataset, batchSize, key, flip = false }: LoaderOptions): Loader {
  if (!(Number.isInteger(batchSize) && batchSize >= 1)) {
    throw new DatasetError(`createLoader: batchSize is ${batchSize}, expected a whole number from 1`);
  }
  const [count, height, width, channels] = dataset.shape;
  const { labels } = dataset;
  const size = imageSize(dataset.shape);

  // Only the epoch at hand is kept: it can be made again at any time.
  let current: Epoch | undefined;
  const epochAt = (number: number): Epoch => {
    if (current?.number !== number) {
      current = {
        number,
        order: permutation(split(key, 'epoch', number), count),
        ...(flip && { flips: integerArray(split(key, 'flip', number), count, { high: 2 }) }),
      };
    }
    return current;
  };

  return {
    batchAt(position) {
      if (!(Number.isInteger(position) && position >= 0 && Number.isSafeInteger((position + 1) * batchSize))) {
        throw new DatasetError(`batchAt: position is ${position}, expected a whole number`);
      }
      const bytes = new Uint8Array(batchSize * size);
      const indices = new Int32Array(batchSize);
      const flipped = flip ? new Uint8Array(batchSize) : undefined;
      for (let row = 0; row < batchSize; row++) {
        const place = position * batchSize + row;
        const epoch = epochAt(Math.floor(place / count));
        const index = epoch.order[place % count]!;
        indices[row] = index;
        bytes.set(dataset.images.subarray(index * size, (index + 1) * size), row * size);
        if (flipped && epoch.flips?.[index]) {
          flipped[row] = 1;
          mirror(bytes.subarray(row * size, (row + 1) * size), width, channels);
        }
      }
      return {
        images: toFloat(bytes, [batchSize, height, width, channels]),
        indices,
        ...(labels && { labels: indices.map((index) => labels[index]!) }),
        ...(flipped && { flipped }),
      };
    },
  };
}

interface Epoch {
  readonly number: number;
  readonly order: Uint32Array;
  /** Of each image, 1 if it is mirrored in this epoch. */
  readonly flips?: Int32Array;
}

/** Mirrors one image left to right, in place. */
function mirror(image: Uint8Array, width: number, channels: number): void {
  const row = width * channels;
  for (let start = 0; start < image.length; start += row) {
    for (let left = 0, right = width - 1; left < right; left++, right--) {
      for (let channel = 0; channel < channels; channel++) {
        const a = start + left * channels + channel;
        const b = start + right * channels + channel;
        [image[a], image[b]] = [image[b]!, image[a]!];
      }
    }
  }
}
