import * as tf from '@tensorflow/tfjs-core';
import { probability, sizeOf, wholeNumber } from './check';
import { fillMasks, fillNormals, type Source, streams } from './kernel';
import type { Key } from './key';

/**
 * Standard-normal numbers whose every row depends on the key and its own number alone, not on the rest of the batch: an image's noise
 * stays the same in batches of any size and on any number of machines.
 *
 * @param rows The rows' numbers (an image's seed, its index in a data set): whole numbers from 0 to 2^53 − 1.
 * @param shape The shape of one row.
 * @returns float32, [rows.length, ...shape].
 * @throws RangeError when one of `rows` or an extent of `shape` is not a whole number.
 *
 * @example
 * ```ts
 * import { key, normalRows } from '@cm/random';
 *
 * // A row's numbers depend on the row alone, not on the batch that it is drawn in.
 * const four = normalRows(key(0), [0, 1, 2, 3], [1]).dataSync();
 * console.log(normalRows(key(0), [3], [1]).dataSync()[0] === four[3]); // true
 * ```
 */
export function normalRows(key: Key, rows: ArrayLike<number>, shape: readonly number[]): tf.Tensor {
  return fromRows('normalRows', { key, stream: streams.normalRows }, rows, shape, fillNormals);
}

/**
 * Dropout masks by row: an element is 0 with probability `rate`, and otherwise 1/(1 − rate), which keeps the mean.
 * A row's mask depends on the key and the row's number alone, so that any subset of a batch is dropped as in the whole.
 *
 * @param rows The rows' numbers: whole numbers from 0 to 2^53 − 1.
 * @param shape The shape of one row's mask, for example `[1, 1, channels]` to drop whole channels.
 * @param rate Probability of 0, from 0 to below 1.
 * @returns float32, [rows.length, ...shape].
 * @throws RangeError when one of `rows` or an extent of `shape` is not a whole number, or `rate` is not in [0, 1).
 *
 * @example
 * ```ts
 * import { dropoutMask, key } from '@cm/random';
 *
 * // Kept values count 1/(1 − rate), so that the mean stays.
 * console.log(dropoutMask(key(5), [0, 1], [6], 0.5).arraySync()); // [[2, 2, 2, 2, 0, 0], [0, 0, 0, 2, 0, 2]]
 * ```
 */
export function dropoutMask(key: Key, rows: ArrayLike<number>, shape: readonly number[], rate: number): tf.Tensor {
  probability('dropoutMask', 'rate', rate);
  if (rate === 1) throw new RangeError('dropoutMask: rate is 1, expected below 1');
  const kept = 1 - rate;
  return fromRows('dropoutMask', { key, stream: streams.dropoutRows }, rows, shape, (row, source) =>
    fillMasks(row, source, kept, 1 / kept),
  );
}

function fromRows(
  where: string,
  source: Source,
  rows: ArrayLike<number>,
  shape: readonly number[],
  fill: (row: Float32Array, source: Source) => void,
): tf.Tensor {
  const size = sizeOf(where, shape);
  const values = new Float32Array(rows.length * size);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    wholeNumber(where, `rows[${i}]`, row);
    fill(values.subarray(i * size, (i + 1) * size), { ...source, row });
  }
  return tf.tensor(values, [rows.length, ...shape], 'float32');
}
