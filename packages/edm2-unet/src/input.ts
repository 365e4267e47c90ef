import { dropoutMask, type Key, split } from '@cm/random';
import * as tf from '@tensorflow/tfjs-core';

/** Dropout of one pass: which masks, and whose rows they are. */
export interface Dropout {
  readonly key: Key;
  readonly rate: number;
  readonly rows: ArrayLike<number>;
}

/** What a network takes: images of its resolution and channels, and labels below `labelDim`, where that is not 0. */
export interface ImageInput {
  readonly resolution: number;
  readonly channels: number;
  readonly labelDim: number;
}

/**
 * Checks what a denoiser is given: images [batch, resolution, resolution, channels], noise levels [batch] and, for a network with classes,
 * int32 labels [batch] from 0 to labelDim − 1, or −1 for no class.
 *
 * @throws Error that names the argument of `where`, what was expected and what came
 */
export function checkInput(
  where: string,
  { resolution, channels, labelDim }: ImageInput,
  x: tf.Tensor4D,
  t: tf.Tensor1D,
  labels?: tf.Tensor | null,
): void {
  const batch = x.shape[0];
  if (x.rank !== 4 || x.shape[1] !== resolution || x.shape[2] !== resolution || x.shape[3] !== channels) {
    throw new Error(`${where}: x has shape [${x.shape}], expected [batch, ${resolution}, ${resolution}, ${channels}]`);
  }
  if (t.rank !== 1 || t.shape[0] !== batch) throw new Error(`${where}: t has shape [${t.shape}], expected [${batch}]`);
  if (labelDim === 0) {
    if (labels) throw new Error(`${where}: labels were given, expected none: the network has no classes`);
    return;
  }
  if (!labels) throw new Error(`${where}: labels are missing, expected class indices [${batch}] below ${labelDim}`);
  if (labels.rank !== 1 || labels.shape[0] !== batch || labels.dtype !== 'int32') {
    throw new Error(`${where}: labels are ${labels.dtype} [${labels.shape}], expected int32 [${batch}]`);
  }
  if (!inMainMemory.has(tf.getBackend())) return;
  const outside = labels.dataSync().find((label) => label < -1 || label >= labelDim);
  if (outside !== undefined)
    throw new Error(`${where}: labels have ${outside}, expected 0 to ${labelDim - 1}, or -1 for no class`);
}

/** Backends on which looking at labels costs little; elsewhere a label out of range counts as no class. */
const inMainMemory = new Set(['cpu', 'wasm', 'torch', 'tensorflow']);

/** Labels [batch] as rows [batch, classes]: 1 where the class is, zeros for −1. */
export function classRows(labels: tf.Tensor1D, classes: number): tf.Tensor2D {
  return tf.tidy(() =>
    tf.cast(tf.equal(tf.expandDims(labels, 1), tf.range(0, classes, 1, 'int32')), 'float32'),
  ) as tf.Tensor2D;
}

/** Rows of which each is zero, "no class", with the dropout's rate: what classifier-free guidance trains with. Keyed by row. */
export function dropClasses(rows: tf.Tensor2D, { key, rate, rows: identities }: Dropout): tf.Tensor2D {
  if (rate === 0) return rows;
  return tf.tidy(() => tf.mul(rows, tf.step(dropoutMask(split(key, 'labels'), identities, [1], rate))));
}

/** Identities of a batch's rows, 0, 1, … by default. @throws Error when they are not as many as the batch */
export function rowsOf(where: string, batch: number, rows?: ArrayLike<number>): ArrayLike<number> {
  if (rows && rows.length !== batch)
    throw new Error(`${where}: rows has ${rows.length} entries, expected batch ${batch}`);
  return rows ?? Array.from({ length: batch }, (_, row) => row);
}
