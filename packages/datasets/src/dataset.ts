import { DatasetError } from './error';

/** Number of images, height, width, channels. */
export type ImageShape = readonly [count: number, height: number, width: number, channels: number];

/** Images as bytes, one after another, each row-major with its channels innermost (NHWC). */
export interface ImageDataset {
  /** count · height · width · channels values, 0 to 255. */
  readonly images: Uint8Array;
  /** [count, height, width, channels]. */
  readonly shape: ImageShape;
  /** The class of each image. */
  readonly labels?: Int32Array;
  /** What the classes are called, in order. */
  readonly classNames?: readonly string[];
}

/** Images that are read from disk when they are asked for. */
export interface StoredImages extends Omit<ImageDataset, 'images'> {
  /**
   * The bytes of the images with these indices, one after another, as {@link ImageDataset.images} has them.
   *
   * @throws DatasetError when an index is not one of the data set, or naming an image that is damaged.
   */
  read(indices: ArrayLike<number>): Promise<Uint8Array>;
  /** Closes the file. Nothing can be read any more. */
  close(): Promise<void>;
}

/**
 * A data set from its parts, checked.
 *
 * @throws DatasetError when the shape is not of whole numbers, the bytes or labels are not as many as it says, or a label has no name.
 */
export function imageDataset({ images, shape, labels, classNames }: ImageDataset): ImageDataset {
  if (!shape.every((extent) => Number.isInteger(extent) && extent >= 1)) {
    throw new DatasetError(`imageDataset: shape is [${shape}], expected four whole numbers from 1`);
  }
  const [count, height, width, channels] = shape;
  if (images.length !== count * height * width * channels) {
    throw new DatasetError(`imageDataset: images has ${images.length} bytes, expected [${shape}]`);
  }
  if (labels && labels.length !== count) {
    throw new DatasetError(`imageDataset: labels has ${labels.length} entries, expected ${count}`);
  }
  const classes = classNames?.length ?? Number.POSITIVE_INFINITY;
  const wrong = labels?.findIndex((label) => label < 0 || label >= classes) ?? -1;
  if (wrong >= 0) {
    throw new DatasetError(`imageDataset: label ${wrong} is ${labels![wrong]}, expected 0 to ${classes - 1}`);
  }
  return { images, shape, ...(labels && { labels }), ...(classNames && { classNames }) };
}

/** Bytes of one image. */
export const imageSize = ([, height, width, channels]: ImageShape): number => height * width * channels;

/**
 * The images with the given indices, in that order, copied.
 *
 * @throws DatasetError when an index is not one of the data set.
 *
 * @example
 * ```ts
 * import { subset } from '@cm/datasets';
 *
 * const dataset = { images: Uint8Array.of(10, 20, 30), shape: [3, 1, 1, 1] as const, labels: Int32Array.of(0, 1, 2) };
 * console.log(subset(dataset, [2, 0])); // { images: [30, 10], shape: [2, 1, 1, 1], labels: [2, 0] }
 * ```
 */
export function subset(dataset: ImageDataset, indices: ArrayLike<number>): ImageDataset {
  const { shape, labels } = dataset;
  const size = imageSize(shape);
  const images = new Uint8Array(indices.length * size);
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i]!;
    if (!(Number.isInteger(index) && index >= 0 && index < shape[0])) {
      throw new DatasetError(`subset: index ${i} is ${index}, expected 0 to ${shape[0] - 1}`);
    }
    images.set(dataset.images.subarray(index * size, (index + 1) * size), i * size);
  }
  return imageDataset({
    ...dataset,
    images,
    shape: [indices.length, shape[1], shape[2], shape[3]],
    ...(labels && { labels: Int32Array.from(indices, (index) => labels[index]!) }),
  });
}

/**
 * Data sets of images of one size, one after another. Labels are kept when all have them; the class names are the first one's.
 *
 * @throws DatasetError when there is none, or the sizes differ.
 */
export function concatenate(datasets: readonly ImageDataset[]): ImageDataset {
  const [first] = datasets;
  if (!first) throw new DatasetError('concatenate: no data sets, expected at least one');
  const [, height, width, channels] = first.shape;
  for (const { shape } of datasets) {
    if (shape[1] !== height || shape[2] !== width || shape[3] !== channels) {
      throw new DatasetError(
        `concatenate: shape is [${shape}], expected [*,${height},${width},${channels}] as the first`,
      );
    }
  }
  const count = datasets.reduce((sum, { shape }) => sum + shape[0], 0);
  const images = new Uint8Array(count * imageSize(first.shape));
  const labels = datasets.every((dataset) => dataset.labels) ? new Int32Array(count) : undefined;
  let at = 0;
  for (const dataset of datasets) {
    images.set(dataset.images, at * imageSize(first.shape));
    labels?.set(dataset.labels!, at);
    at += dataset.shape[0];
  }
  const { classNames } = first;
  return imageDataset({
    images,
    shape: [count, height, width, channels],
    ...(labels && { labels }),
    ...(classNames && { classNames }),
  });
}
