import { type Checkpoint, CheckpointError, CheckpointTensor, openCheckpoint } from '@cm/checkpoints';
import { type ImageDataset, imageDataset } from './dataset';
import { DatasetError } from './error';

/** The classes of CIFAR-10, in order. */
export const cifar10ClassNames = [
  'airplane',
  'automobile',
  'bird',
  'cat',
  'deer',
  'dog',
  'frog',
  'horse',
  'ship',
  'truck',
] as const;

const side = 32;
const pixels = side * side;
const record = 3 * pixels;

/**
 * A batch of CIFAR-10's binary version: for each image a byte of label, then 1,024 bytes each of red, green and blue.
 *
 * @throws DatasetError when the file is not whole records, or a label is not 0 to 9.
 */
export function parseCifar10Binary(bytes: Uint8Array): ImageDataset {
  const count = bytes.length / (1 + record);
  if (!(Number.isInteger(count) && count >= 1)) {
    throw new DatasetError(
      `parseCifar10Binary: the file has ${bytes.length} bytes, expected a multiple of ${1 + record}`,
    );
  }
  const images = new Uint8Array(count * record);
  const labels = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const start = i * (1 + record);
    labels[i] = bytes[start]!;
    interleave(bytes.subarray(start + 1, start + 1 + record), images.subarray(i * record, (i + 1) * record));
  }
  return cifar10Dataset(images, labels);
}

/**
 * A batch of CIFAR-10's Python version: a pickled dictionary of `labels`, a list, and `data`, a NumPy array of bytes [count, 3072].
 * The pickle is read as data; nothing in it is executed.
 *
 * @throws DatasetError when the pickle holds anything else than the published files do, or less.
 */
export function parseCifar10Python(bytes: Uint8Array): ImageDataset {
  const { format, tree } = opened(bytes);
  if (format !== 'pickle' || tree === null || typeof tree !== 'object') {
    throw new DatasetError('parseCifar10Python: the file is no pickled dictionary');
  }
  const { labels, data } = tree as Readonly<Record<string, unknown>>;
  if (!(Array.isArray(labels) && labels.every((label) => typeof label === 'number'))) {
    throw new DatasetError('parseCifar10Python: labels is no list of numbers');
  }
  const count = labels.length;
  if (!(data instanceof CheckpointTensor && data.dtype === 'U8')) {
    throw new DatasetError('parseCifar10Python: data is no NumPy array of bytes');
  }
  if (`${data.shape}` !== `${[count, record]}`) {
    throw new DatasetError(`parseCifar10Python: data has shape [${data.shape}], expected [${count},${record}]`);
  }
  const planes = data.data;
  const images = new Uint8Array(count * record);
  for (let start = 0; start < images.length; start += record) {
    interleave(planes.subarray(start, start + record), images.subarray(start, start + record));
  }
  return cifar10Dataset(images, Int32Array.from(labels));
}

/** The data set of images that are interleaved already. */
export function cifar10Dataset(images: Uint8Array, labels: Int32Array): ImageDataset {
  const shape = [labels.length, side, side, 3] as const;
  return imageDataset({ images, shape, labels, classNames: cifar10ClassNames });
}

/** Red, green and blue planes to red, green and blue of each pixel. */
function interleave(planes: Uint8Array, image: Uint8Array): void {
  for (let pixel = 0; pixel < pixels; pixel++) {
    for (let channel = 0; channel < 3; channel++) image[3 * pixel + channel] = planes[channel * pixels + pixel]!;
  }
}

function opened(bytes: Uint8Array): Checkpoint {
  try {
    return openCheckpoint(bytes);
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    throw new DatasetError(`parseCifar10Python: ${error.message}`);
  }
}
