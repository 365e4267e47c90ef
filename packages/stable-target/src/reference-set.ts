import * as tf from '@tensorflow/tfjs-core';
import { fused } from './fused';

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
  /**
   * Bytes up to which float32 copies of the samples stay on the backend between calls. Larger sets are converted chunk by chunk in
   * every call. Default 100,000,000.
   */
  readonly cacheBytes?: number;
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
   * A chunk's samples as rows [x' , |x'|², 1] of a matrix [size, dims + 2], x' being centred. The set keeps it or not, as
   * {@link ReferenceSetOptions.cacheBytes} says: `use` must not dispose or keep it.
   */
  withChunk<T>(chunk: Chunk, use: (rows: tf.Tensor2D) => T): T;
  /** The samples of one class as a set of their own, built once; undefined for a class that has none. */
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

/** The samples of one class, and where each of the whole set's samples is among them (−1: elsewhere). */
export interface ClassReferences {
  readonly references: ReferenceSet;
  readonly positionOf: Int32Array;
}

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
  const { images, labels, cacheBytes = 100_000_000 } = options;
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

  const chunks: Chunk[] = [];
  for (let begin = 0; begin < count; begin += chunkSize) {
    chunks.push({ index: chunks.length, begin, end: Math.min(begin + chunkSize, count) });
  }
  const { mean, rows, free } =
    images instanceof tf.Tensor ? ofTensor(images, count, dims) : ofArray(images, count, dims);
  const keeps = count * (dims + 2) * 4 <= cacheBytes;
  const kept: (tf.Tensor2D | undefined)[] = [];
  const classes = new Map<number, ClassReferences | undefined>();
  const ownLabels = labels && Int32Array.from(labels);

  return {
    count,
    sampleShape,
    ...(ownLabels && { labels: ownLabels }),
    mean,
    chunks,
    withChunk(chunk, use) {
      if (mean.isDisposed) throw new Error('stableTarget: references have been disposed');
      if (!keeps) {
        const matrix = rows(chunk);
        try {
          return use(matrix);
        } finally {
          tf.dispose(matrix);
        }
      }
      kept[chunk.index] ??= tf.keep(rows(chunk));
      return use(kept[chunk.index]!);
    },
    ofClass(label) {
      if (!ownLabels) throw new Error('stableTarget: labels were given, expected references with labels');
      if (!classes.has(label)) classes.set(label, classReferences(options, ownLabels, label, sampleShape));
      return classes.get(label);
    },
    dispose() {
      tf.dispose([mean, ...kept.filter((matrix) => matrix !== undefined)]);
      kept.length = 0;
      for (const entry of classes.values()) entry?.references.dispose();
      classes.clear();
      free();
    },
  };
}

/** How samples become chunks: rows [x', |x'|², 1] of a range. */
interface Source {
  readonly mean: tf.Tensor1D;
  rows(chunk: Chunk): tf.Tensor2D;
  free(): void;
}

function ofTensor(images: tf.Tensor, count: number, dims: number): Source {
  const flat = tf.keep(tf.tidy(() => tf.clone(tf.reshape(images, [count, dims])))) as tf.Tensor2D;
  const mean = tf.keep(tf.mean(flat, 0)) as tf.Tensor1D;
  return {
    mean,
    rows: ({ begin, end }) =>
      tf.tidy(() => {
        const centred = tf.sub(tf.slice(flat, begin, end - begin), mean) as tf.Tensor2D;
        return tf.concat([centred, tf.sum(tf.square(centred), 1, true) as tf.Tensor2D, tf.ones([end - begin, 1])], 1);
      }),
    free: () => tf.dispose(flat),
  };
}

function ofArray(images: Uint8Array | Float32Array, count: number, dims: number): Source {
  // A byte v is read as v/127.5 − 1.
  const [scale, zero] = images instanceof Uint8Array ? [1 / 127.5, -1] : [1, 0];
  const sums = new Float64Array(dims);
  for (let i = 0, at = 0; i < count; i++) for (let d = 0; d < dims; d++, at++) sums[d]! += images[at]!;
  const means = Float32Array.from(sums, (sum) => (sum / count) * scale + zero);
  if (means.some((value) => !Number.isFinite(value)))
    throw new Error('referenceSet: images has a value that is not finite');

  const shifts = Float64Array.from(means, (mean) => zero - mean);
  const width = dims + 2;
  const rows = ({ begin, end }: Chunk) => {
    const converted = images instanceof Uint8Array && fromBytes(images.subarray(begin * dims, end * dims), shifts);
    if (converted) return converted;
    const matrix = new Float32Array((end - begin) * width);
    for (let to = 0, from = begin * dims; to < matrix.length; to += width) {
      let square = 0;
      for (let d = 0; d < dims; d++, from++) {
        const centred = images[from]! * scale + shifts[d]!;
        matrix[to + d] = centred;
        square += centred * centred;
      }
      matrix[to + dims] = square;
      matrix[to + dims + 1] = 1;
    }
    return tf.tensor2d(matrix, [end - begin, width]);
  };
  return { mean: tf.keep(tf.tensor1d(means)), rows, free: () => {} };
}

/** Rows [x', |x'|², 1] of bytes, by the fused kernel where the backend has it. Bytes get there as a tensor of bool, whose values they are. */
function fromBytes(bytes: Uint8Array, shifts: Float64Array): tf.Tensor2D | undefined {
  if (!tf.getKernel('ReferenceRows', tf.getBackend())) return undefined;
  const dims = shifts.length;
  return tf.tidy(() => {
    const inputs = {
      bytes: tf.tensor2d(bytes, [bytes.length / dims, dims], 'bool'),
      shift: tf.tensor1d(Float32Array.from(shifts)),
    };
    return fused('ReferenceRows', inputs)![0] as tf.Tensor2D;
  });
}

function classReferences(
  { images, cacheBytes, chunkSize }: ReferenceSetOptions,
  labels: Int32Array,
  label: number,
  sampleShape: readonly number[],
): ClassReferences | undefined {
  const positionOf = new Int32Array(labels.length).fill(-1);
  const members: number[] = [];
  labels.forEach((own, i) => {
    if (own === label) positionOf[i] = members.push(i) - 1;
  });
  if (members.length === 0) return undefined;
  const shape = [members.length, ...sampleShape];
  const rest = { ...(cacheBytes !== undefined && { cacheBytes }), ...(chunkSize !== undefined && { chunkSize }) };
  if (images instanceof tf.Tensor) {
    const gathered = tf.tidy(() => tf.gather(images, tf.tensor1d(members, 'int32')));
    const references = referenceSet({ images: gathered, ...rest });
    tf.dispose(gathered);
    return { references, positionOf };
  }
  const dims = sampleShape.reduce((product, extent) => product * extent, 1);
  const gathered =
    images instanceof Uint8Array ? new Uint8Array(members.length * dims) : new Float32Array(members.length * dims);
  members.forEach((from, to) => {
    gathered.set(images.subarray(from * dims, (from + 1) * dims), to * dims);
  });
  return { references: referenceSet({ images: gathered, shape, ...rest }), positionOf };
}
