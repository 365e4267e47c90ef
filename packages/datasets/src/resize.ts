import { type ImageDataset, imageDataset, imageSize } from './dataset';
import { DatasetError } from './error';

/**
 * Adds `margin` pixels of `value` on every side of each image.
 *
 * @throws DatasetError when the margin is not a whole number, or the value not a byte.
 */
export function pad(dataset: ImageDataset, margin: number, value = 0): ImageDataset {
  if (!(Number.isInteger(margin) && margin >= 0)) {
    throw new DatasetError(`pad: margin is ${margin}, expected a whole number`);
  }
  if (!(Number.isInteger(value) && value >= 0 && value <= 255)) {
    throw new DatasetError(`pad: value is ${value}, expected 0 to 255`);
  }
  const [count, height, width, channels] = dataset.shape;
  const shape = [count, height + 2 * margin, width + 2 * margin, channels] as const;
  const images = new Uint8Array(count * imageSize(shape)).fill(value);
  const row = width * channels;
  for (let i = 0; i < count; i++) {
    for (let y = 0; y < height; y++) {
      const from = (i * height + y) * row;
      const to = ((i * shape[1] + y + margin) * shape[2] + margin) * channels;
      images.set(dataset.images.subarray(from, from + row), to);
    }
  }
  return imageDataset({ ...dataset, images, shape });
}

/**
 * Every image at another size, by area (the box filter): a pixel of the result is the mean of what it covers, pixels that it covers in
 * part weighing by that part. Means are exact in integers and rounded once, halves up, so that an even area stays what it is.
 *
 * @param size Height and width, or one number for both.
 * @throws DatasetError when a size is not a whole number from 1.
 *
 * @example
 * ```ts
 * import { pad, resize } from '@cm/datasets';
 *
 * const digits = { images: new Uint8Array(28 * 28), shape: [1, 28, 28, 1] as const };
 * console.log(resize(pad(digits, 2), 16).shape); // [1, 16, 16, 1]
 * ```
 */
export function resize(dataset: ImageDataset, size: number | readonly [height: number, width: number]): ImageDataset {
  const [outHeight, outWidth] = typeof size === 'number' ? [size, size] : size;
  for (const extent of [outHeight, outWidth]) {
    if (!(Number.isInteger(extent) && extent >= 1)) {
      throw new DatasetError(`resize: size is ${size}, expected whole numbers from 1`);
    }
  }
  const [count, height, width, channels] = dataset.shape;
  const shape = [count, outHeight, outWidth, channels] as const;
  const images = new Uint8Array(count * imageSize(shape));
  const rows = overlaps(height, outHeight);
  const columns = overlaps(width, outWidth);
  const area = height * width;
  const outRow = outWidth * channels;
  const sums = new Float64Array(outRow);
  const pixels = dataset.images;
  for (let i = 0; i < count; i++) {
    for (let y = 0; y < outHeight; y++) {
      sums.fill(0);
      for (let r = rows.starts[y]!; r < rows.starts[y + 1]!; r++) {
        const from = (i * height + rows.sources[r]!) * width;
        const weight = rows.weights[r]!;
        for (let x = 0; x < outWidth; x++) {
          for (let c = columns.starts[x]!; c < columns.starts[x + 1]!; c++) {
            const at = (from + columns.sources[c]!) * channels;
            const both = weight * columns.weights[c]!;
            for (let k = 0; k < channels; k++) sums[x * channels + k]! += both * pixels[at + k]!;
          }
        }
      }
      const to = (i * outHeight + y) * outRow;
      for (let j = 0; j < outRow; j++) images[to + j] = Math.floor((2 * sums[j]! + area) / (2 * area));
    }
  }
  return imageDataset({ ...dataset, images, shape });
}

/**
 * Which of `from` equal parts of a line each of `to` equal parts covers. In units of 1/(from·to) of the line all borders are whole
 * numbers, and so are the weights, which sum to `from` for each part.
 */
function overlaps(from: number, to: number): { starts: number[]; sources: number[]; weights: number[] } {
  const starts = [0];
  const sources: number[] = [];
  const weights: number[] = [];
  for (let part = 0; part < to; part++) {
    const begin = part * from;
    const end = begin + from;
    for (let source = Math.floor(begin / to); source * to < end; source++) {
      sources.push(source);
      weights.push(Math.min(end, (source + 1) * to) - Math.max(begin, source * to));
    }
    starts.push(sources.length);
  }
  return { starts, sources, weights };
}
