import { DatasetError } from './error';
import type { Picture } from './picture';

/** A filter by its weight at a distance, 0 beyond `support`. */
interface Filter {
  readonly support: number;
  weight(distance: number): number;
}

const filters = {
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bicubic: {
    support: 2,
    weight: (distance) => {
      const x = Math.abs(distance);
      if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
      return x < 2 ? -0.5 * (((x - 5) * x + 8) * x - 4) : 0;
    },
  },
} as const satisfies Record<string, Filter>;

/** Bits after the point of Pillow's weights. */
const PRECISION = 22;

/**
 * An image at another size with the very bytes that Pillow's `Image.resize` gives: the filter widened by the factor when the image shrinks,
 * weights of 22 bits, columns first, each pass rounded to bytes. (Pillow 13 does rows first where images are
 * high; this is what the versions before give, with which the published data sets were made.)
 *
 * @param filter `box`, or `bicubic` with a = −1/2.
 * @throws DatasetError when a size is not a whole number from 1.
 */
export function resample(
  picture: Picture,
  [height, width]: readonly [height: number, width: number],
  filter: keyof typeof filters,
): Picture {
  for (const extent of [height, width]) {
    if (!(Number.isInteger(extent) && extent >= 1)) {
      throw new DatasetError(`resample: size is [${height},${width}], expected whole numbers from 1`);
    }
  }
  const narrow = width === picture.width ? picture : resampleColumns(picture, width, filters[filter]);
  return height === narrow.height ? narrow : resampleRows(narrow, height, filters[filter]);
}

/**
 * The square that ADM trains on, and EDM2's `center-crop-dhariwal` cuts: the image is halved by the box filter while its smaller side is at
 * least twice the resolution, brought to the resolution by the bicubic filter, and cut in the middle. The bytes are Pillow's.
 *
 * @param resolution Height and width of the result.
 * @throws DatasetError when the resolution is not a whole number from 1.
 * @see Dhariwal and Nichol 2021, _Diffusion Models Beat GANs on Image Synthesis_; Karras et al. 2024, EDM2.
 */
export function centerCropAdm(picture: Picture, resolution: number): Picture {
  if (!(Number.isInteger(resolution) && resolution >= 1)) {
    throw new DatasetError(`centerCropAdm: resolution is ${resolution}, expected a whole number from 1`);
  }
  let at = picture;
  while (Math.min(at.height, at.width) >= 2 * resolution) {
    at = resample(at, [at.height >> 1, at.width >> 1], 'box');
  }
  const scale = resolution / Math.min(at.height, at.width);
  at = resample(at, [roundHalfEven(at.height * scale), roundHalfEven(at.width * scale)], 'bicubic');
  const { channels } = at;
  const [top, left] = [(at.height - resolution) >> 1, (at.width - resolution) >> 1];
  const pixels = new Uint8Array(resolution * resolution * channels);
  for (let y = 0; y < resolution; y++) {
    const from = ((top + y) * at.width + left) * channels;
    pixels.set(at.pixels.subarray(from, from + resolution * channels), y * resolution * channels);
  }
  return { height: resolution, width: resolution, channels, pixels };
}

/** As Python's `round`. */
function roundHalfEven(x: number): number {
  const whole = Math.floor(x);
  return x - whole === 0.5 ? whole + (whole % 2) : Math.round(x);
}

function resampleColumns({ height, width, channels, pixels }: Picture, outWidth: number, filter: Filter): Picture {
  const { starts, taps, ends } = weightsOf(width, outWidth, filter);
  const result = new Uint8Array(height * outWidth * channels);
  for (let y = 0; y < height; y++) {
    const row = y * width * channels;
    const outRow = y * outWidth * channels;
    for (let x = 0; x < outWidth; x++) {
      const [begin, end] = [x === 0 ? 0 : ends[x - 1]!, ends[x]!];
      for (let channel = 0; channel < channels; channel++) {
        let sum = 1 << (PRECISION - 1);
        let at = row + starts[x]! * channels + channel;
        for (let tap = begin; tap < end; tap++, at += channels) sum += pixels[at]! * taps[tap]!;
        result[outRow + x * channels + channel] = toByte(sum);
      }
    }
  }
  return { height, width: outWidth, channels, pixels: result };
}

function resampleRows({ height, width, channels, pixels }: Picture, outHeight: number, filter: Filter): Picture {
  const { starts, taps, ends } = weightsOf(height, outHeight, filter);
  const row = width * channels;
  const result = new Uint8Array(outHeight * row);
  const sums = new Int32Array(row);
  for (let y = 0; y < outHeight; y++) {
    sums.fill(1 << (PRECISION - 1));
    const begin = y === 0 ? 0 : ends[y - 1]!;
    for (let tap = begin; tap < ends[y]!; tap++) {
      const from = (starts[y]! + tap - begin) * row;
      const weight = taps[tap]!;
      for (let i = 0; i < row; i++) sums[i]! += weight * pixels[from + i]!;
    }
    for (let i = 0; i < row; i++) result[y * row + i] = toByte(sums[i]!);
  }
  return { height: outHeight, width, channels, pixels: result };
}

function toByte(sum: number): number {
  const value = sum >> PRECISION;
  return value < 0 ? 0 : Math.min(value, 255);
}

/** The pixels that each pixel of the result is made of: the first, and weights of 22 bits, up to `ends`, one after another. */
function weightsOf(size: number, outSize: number, filter: Filter) {
  const scale = size / outSize;
  const wide = Math.max(scale, 1);
  const support = filter.support * wide;
  const starts = new Int32Array(outSize);
  const ends = new Int32Array(outSize);
  const taps: number[] = [];
  for (let i = 0; i < outSize; i++) {
    const center = (i + 0.5) * scale;
    const from = Math.max(0, Math.trunc(center - support + 0.5));
    const to = Math.min(size, Math.trunc(center + support + 0.5));
    const weights: number[] = [];
    let total = 0;
    for (let j = from; j < to; j++) {
      const weight = filter.weight((j - center + 0.5) * (1 / wide));
      weights.push(weight);
      total += weight;
    }
    for (const weight of weights) {
      const fixed = (total === 0 ? weight : weight / total) * (1 << PRECISION);
      taps.push(Math.trunc(fixed < 0 ? fixed - 0.5 : fixed + 0.5));
    }
    starts[i] = from;
    ends[i] = taps.length;
  }
  return { starts, ends, taps: Int32Array.from(taps) };
}
