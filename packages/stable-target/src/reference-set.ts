import * as tf from '@tensorflow/tfjs-core';
import { arraySource } from './array-source';
import type { PackedRows, Source } from './source';
import { tensorSource } from './tensor-source';

/**
 * How samples stay on the backend between calls:
 *
 * - `float32`: as they are used, 4 bytes a value;
 * - `bytes`, which only bytes can: exactly, one byte a value where the backend has the fused kernel `ReferenceRows`, else 4/3, and converted there in every call;
 * - `none`: not at all. Every call converts the array, on the calling thread.
 */
export type KeptAs = 'float32' | 'bytes' | 'none';

/** What a {@link ReferenceSet} is made from. */
export interface ReferenceSetOptions {
  /**
   * The reference samples x_0^i, row-major: bytes (0 to 255, read as v/127.5 − 1), float32 numbers, or a tensor. Arrays are kept
   * by reference, a tensor as a clone.
   */
  readonly images: Uint8Array | Float32Array | tf.Tensor;
  /** [count, ...shape of one sample]. Default, and only where `images` is a tensor: its shape. */
  readonly shape?: readonly number[];
  /** Class of each sample, for class-conditional targets. */
  readonly labels?: ArrayLike<number>;
  /** Default: `float32` where that takes 100 MB or less, else `none`. It changes speed and memory, and results by float32's rounding alone. */
  readonly keep?: KeptAs;
  /** Samples in a chunk. Default: as many as make 16 MB in float32, 64 at least. It changes speed and memory, not results. */
  readonly chunkSize?: number;
}

/** Samples over which posterior means are taken. Made by {@link referenceSet}; `dispose` frees what it keeps on the backend. */
export interface ReferenceSet {
  readonly count: number;
  /** Shape of one sample. */
  readonly sampleShape: readonly number[];
  readonly labels?: Int32Array;
  /** Mean over the set, [dims]: samples are used centred by it, which is what keeps float32 distances accurate. */
  readonly mean: tf.Tensor1D;
  /** Where chunks begin and end, in order. */
  readonly chunks: readonly Chunk[];
  /**
   * A chunk's samples as rows [x' , |x'|², 1] of a matrix [size, dims + 2], x' being centred. It is kept or not, as
   * {@link ReferenceSetOptions.keep} says: `use` must not dispose or keep it.
   */
  withChunk<T>(chunk: Chunk, use: (rows: tf.Tensor2D) => T): T;
  /** The samples of one class as a set of their own, built once, without copying arrays; undefined for a class that has none. */
  ofClass(label: number): ClassReferences | undefined;
  /** Frees what is kept on the backend; the set is of no use afterwards. */
  dispose(): void;
}

/** A range of samples. */
export interface Chunk {
  readonly index: number;
  readonly begin: number;
  readonly end: number;
}

/** The samples of one class, and of each sample of the whole set where it is among those of its own class. */
export interface ClassReferences {
  readonly references: ReferenceSet;
  readonly positionOf: Int32Array;
}

/** Bytes up to which a set stays on the backend in float32 where nothing is said. */
const SMALL = 100_000_000;

/**
 * A set of reference samples for {@link stableTarget}. Norms and mean are computed here, once, in float64 for arrays.
 *
 * @throws Error naming the option that is wrong: an empty set, sizes that do not agree, labels of another number
 *
 * @example
 * ```ts
 * import { referenceSet, stableTarget } from '@cm/stable-target';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * // Four images of two pixels as bytes, of two classes.
 * const images = Uint8Array.of(0, 0, 255, 255, 0, 255, 255, 0);
 * const references = referenceSet({ images, shape: [4, 2], labels: [0, 0, 1, 1] });
 * const { posteriorMean } = stableTarget({
 *   references,
 *   x0: tf.tensor2d([[-1, 1]]),
 *   noise: tf.zeros([1, 2]),
 *   t: [100],
 *   ownIndex: [2],
 *   labels: [1],
 * });
 * console.log(posteriorMean.arraySync()); // [[-0.0002, 0.0002]]
 * references.dispose();
 * ```
 */
export function referenceSet(options: ReferenceSetOptions): ReferenceSet {
  const { images, labels } = options;
  const shape = options.shape ?? (images instanceof tf.Tensor ? images.shape : undefined);
  if (!shape) throw new Error('referenceSet: shape is missing, expected [count, ...shape of one sample] for an array');
  const [count = 0, ...sampleShape] = shape;
  const dims = sampleShape.reduce((product, extent) => product * extent, 1);
  const size = images instanceof tf.Tensor ? images.size : images.length;
  if (!(Number.isInteger(count) && count > 0 && dims > 0)) {
    throw new Error(`referenceSet: shape is [${shape}], expected at least one sample with at least one value`);
  }
  if (size !== count * dims)
    throw new Error(`referenceSet: images has ${size} values, expected ${count * dims} for [${shape}]`);
  if (labels && labels.length !== count)
    throw new Error(`referenceSet: labels has ${labels.length} entries, expected ${count}`);
  const chunkSize = options.chunkSize ?? Math.max(64, Math.floor(4_000_000 / (dims + 2)));
  if (!(Number.isInteger(chunkSize) && chunkSize > 0)) {
    throw new Error(`referenceSet: chunkSize is ${chunkSize}, expected a whole number, 1 or more`);
  }
  const { keep = count * (dims + 2) * 4 <= SMALL ? 'float32' : 'none' } = options;
  if (keep === 'bytes' && !(images instanceof Uint8Array)) {
    throw new Error("referenceSet: keep is 'bytes', expected images that are a Uint8Array");
  }
  const source = images instanceof tf.Tensor ? tensorSource(images, dims) : arraySource(images, dims);
  return setOf(source, { keep, chunkSize, sampleShape, ...(labels && { labels: Int32Array.from(labels) }) });
}

interface SetOptions {
  readonly keep: KeptAs;
  readonly chunkSize: number;
  readonly sampleShape: readonly number[];
  readonly labels?: Int32Array;
}

function setOf(source: Source, options: SetOptions): ReferenceSet {
  const { keep, chunkSize, sampleShape, labels } = options;
  const { count, mean } = source;
  const chunks: Chunk[] = [];
  for (let begin = 0; begin < count; begin += chunkSize) {
    chunks.push({ index: chunks.length, begin, end: Math.min(begin + chunkSize, count) });
  }
  const matrices: tf.Tensor2D[] = [];
  const packs: PackedRows[] = [];
  const classes = new Map<number, ClassReferences>();
  let grouped: ReturnType<typeof byLabel> | undefined;
  const passing = <T>(matrix: tf.Tensor2D, use: (rows: tf.Tensor2D) => T): T => {
    try {
      return use(matrix);
    } finally {
      tf.dispose(matrix);
    }
  };

  return {
    count,
    sampleShape,
    ...(labels && { labels }),
    mean,
    chunks,
    withChunk(chunk, use) {
      if (mean.isDisposed) throw new Error('stableTarget: references have been disposed');
      const { index } = chunk;
      switch (keep) {
        case 'float32':
          matrices[index] ??= tf.keep(source.rows(chunk));
          return use(matrices[index]);
        case 'bytes':
          packs[index] ??= source.packed!(chunk);
          return passing(packs[index].rows(), use);
        case 'none':
          return passing(source.rows(chunk), use);
      }
    },
    ofClass(label) {
      if (!labels) throw new Error('stableTarget: labels were given, expected references with labels');
      const known = classes.get(label);
      if (known) return known;
      grouped ??= byLabel(labels);
      const members = grouped.members.get(label);
      if (!members) return undefined;
      const own = setOf(source.subset(Int32Array.from(members)), { keep, chunkSize, sampleShape });
      const made = { references: own, positionOf: grouped.positionOf };
      classes.set(label, made);
      return made;
    },
    dispose() {
      // Chunks that were never used left holes.
      tf.dispose(matrices.filter((matrix) => matrix !== undefined));
      for (const pack of packs) pack?.dispose();
      matrices.length = packs.length = 0;
      for (const { references } of classes.values()) references.dispose();
      classes.clear();
      source.free();
    },
  };
}

/** The samples of each label in order, and of each sample its place among them. */
function byLabel(labels: Int32Array): { members: Map<number, number[]>; positionOf: Int32Array } {
  const members = new Map<number, number[]>();
  const positionOf = labels.map((label, i) => {
    const own = members.get(label) ?? [];
    if (own.length === 0) members.set(label, own);
    return own.push(i) - 1;
  });
  return { members, positionOf };
}
