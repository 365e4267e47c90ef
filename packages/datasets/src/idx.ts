import { type ImageDataset, imageDataset } from './dataset';
import { DatasetError } from './error';

/** The array of an idx file. */
export interface IdxArray {
  readonly shape: readonly number[];
  /** Row-major. */
  readonly data: Uint8Array | Int8Array | Int16Array | Int32Array | Float32Array | Float64Array;
}

type Element = [bytes: number, allocate: (n: number) => IdxArray['data'], read: (view: DataView, at: number) => number];

/** By the third byte of the magic number. Bytes are copied whole, everything else is read big-endian. */
const elements: Readonly<Record<number, Element>> = {
  8: [1, (n) => new Uint8Array(n), (view, at) => view.getUint8(at)],
  9: [1, (n) => new Int8Array(n), (view, at) => view.getInt8(at)],
  11: [2, (n) => new Int16Array(n), (view, at) => view.getInt16(at)],
  12: [4, (n) => new Int32Array(n), (view, at) => view.getInt32(at)],
  13: [4, (n) => new Float32Array(n), (view, at) => view.getFloat32(at)],
  14: [8, (n) => new Float64Array(n), (view, at) => view.getFloat64(at)],
};

/**
 * The array of an idx file, the format of MNIST, Fashion-MNIST, KMNIST and EMNIST
 * (magic number 0, 0, type, dimensions; then each extent and the values, big-endian).
 *
 * @throws DatasetError when the magic number is another, or the file is not exactly as long as its header says.
 */
export function parseIdx(bytes: Uint8Array): IdxArray {
  if (bytes.length < 4) throw new DatasetError(`parseIdx: the file has ${bytes.length} bytes, expected at least 4`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const element = elements[bytes[2]!];
  const rank = bytes[3]!;
  if (bytes[0] !== 0 || bytes[1] !== 0 || !element || rank === 0) {
    const magic = view.getUint32(0).toString(16).padStart(8, '0');
    throw new DatasetError(`parseIdx: the magic number is 0x${magic}, expected 0x00 00 (type 08 to 0e) (dimensions)`);
  }
  const header = 4 + 4 * rank;
  if (bytes.length < header) {
    throw new DatasetError(`parseIdx: the file has ${bytes.length} bytes, expected a header of ${header}`);
  }
  const shape = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  const [width, allocate, read] = element;
  // In float64: a product beyond 2^53 is inexact, but then far from any file's length. Nothing is allocated before it fits.
  const size = shape.reduce((product, extent) => product * extent, 1);
  if (header + size * width !== bytes.length) {
    throw new DatasetError(
      `parseIdx: the file has ${bytes.length} bytes, expected ${header + size * width} for an array of shape [${shape}]`,
    );
  }
  const data = allocate(size);
  if (data instanceof Uint8Array) data.set(bytes.subarray(header));
  else for (let i = 0; i < size; i++) data[i] = read(view, header + i * width);
  return { shape, data };
}

/**
 * A data set from an idx file of images, [count, height, width] or [count, height, width, channels] of bytes, and one of labels, [count].
 *
 * @throws DatasetError when a file is not idx, or holds something else, or not as many labels as images.
 */
export function idxDataset({ images, labels }: { images: Uint8Array; labels?: Uint8Array }): ImageDataset {
  const pixels = parseIdx(images);
  const [count, height, width, channels = 1] = pixels.shape;
  if (!(pixels.data instanceof Uint8Array) || pixels.shape.length < 3 || pixels.shape.length > 4) {
    throw new DatasetError(
      `idxDataset: images is ${pixels.data.constructor.name} of shape [${pixels.shape}], expected bytes of 3 or 4 dimensions`,
    );
  }
  const shape = [count!, height!, width!, channels] as const;
  if (!labels) return imageDataset({ images: pixels.data, shape });
  const classes = parseIdx(labels);
  if (!(classes.data instanceof Uint8Array) || classes.shape.length !== 1) {
    throw new DatasetError(
      `idxDataset: labels is ${classes.data.constructor.name} of shape [${classes.shape}], expected bytes of 1 dimension`,
    );
  }
  return imageDataset({ images: pixels.data, shape, labels: Int32Array.from(classes.data) });
}
