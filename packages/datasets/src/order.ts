import { integerArray, type Key, permutation, split } from '@cm/random';
import { DatasetError } from './error';

/** One of several processes that share each batch. */
export interface Shard {
  /** 0 to ranks − 1. */
  readonly rank: number;
  readonly ranks: number;
}

/** What decides which images a batch has. */
export interface OrderOptions {
  /** Images of a batch, over all processes: a whole number from 1, which may exceed the data set's count. */
  readonly batchSize: number;
  /** Decides the order of every epoch, and the flips. */
  readonly key: Key;
  /** Mirror each image left to right with probability one half, anew in every epoch. Default false. */
  readonly flip?: boolean;
  /**
   * This process's part of every batch: its rows rank · batchSize/ranks up to the next rank's. The whole batches do not depend on the number of processes, so that a
   * run goes on exactly with another number of them. Default: the whole batch.
   */
  readonly shard?: Shard;
}

/** Which images a batch has, in order. */
export interface BatchRows {
  readonly indices: Int32Array;
  /** 1 where the row is mirrored, when images are flipped. */
  readonly flipped?: Uint8Array;
}

interface Epoch {
  readonly number: number;
  readonly order: Uint32Array;
  /** Of each image, 1 if it is mirrored in this epoch. */
  readonly flips?: Int32Array;
}

/**
 * The rows of batches by position. Every epoch is an order of its own of the numbers 0 to `count` − 1, decided by the key and the epoch's number; batches take
 * the epochs one after another without a gap.
 *
 * @throws DatasetError when the batch size is not a whole number from 1, or the shard no part of it.
 */
export function batchOrder(
  count: number,
  { batchSize, key, flip = false, shard = { rank: 0, ranks: 1 } }: OrderOptions,
): (position: number) => BatchRows {
  const { rank, ranks } = shard;
  if (!(Number.isInteger(batchSize) && batchSize >= 1)) {
    throw new DatasetError(`createLoader: batchSize is ${batchSize}, expected a whole number from 1`);
  }
  if (!(Number.isInteger(ranks) && ranks >= 1 && Number.isInteger(rank) && rank >= 0 && rank < ranks)) {
    throw new DatasetError(`createLoader: shard is ${rank} of ${ranks}, expected a rank from 0 to ranks - 1`);
  }
  if (batchSize % ranks !== 0) {
    throw new DatasetError(`createLoader: batchSize is ${batchSize}, expected a multiple of ${ranks} ranks`);
  }
  const rows = batchSize / ranks;

  // The epoch at hand and the one before or after it, as batches that are read ahead need: others can be made again at any time.
  const kept: Epoch[] = [];
  const epochAt = (number: number): Epoch => {
    const known = kept.find((epoch) => epoch.number === number);
    if (known) return known;
    const epoch = {
      number,
      order: permutation(split(key, 'epoch', number), count),
      ...(flip && { flips: integerArray(split(key, 'flip', number), count, { high: 2 }) }),
    };
    kept.unshift(epoch);
    kept.length = Math.min(kept.length, 2);
    return epoch;
  };

  return (position) => {
    if (!(Number.isInteger(position) && position >= 0 && Number.isSafeInteger((position + 1) * batchSize))) {
      throw new DatasetError(`batchAt: position is ${position}, expected a whole number`);
    }
    const indices = new Int32Array(rows);
    const flipped = flip ? new Uint8Array(rows) : undefined;
    for (let row = 0; row < rows; row++) {
      const place = position * batchSize + rank * rows + row;
      const epoch = epochAt(Math.floor(place / count));
      const index = epoch.order[place % count]!;
      indices[row] = index;
      if (flipped) flipped[row] = epoch.flips![index]!;
    }
    return { indices, ...(flipped && { flipped }) };
  };
}
