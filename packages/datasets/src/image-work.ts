import { decodePicture, greyToRgb } from './decode';
import { DatasetError } from './error';
import { readStored, type StoredFile } from './image-files';
import type { Picture } from './picture';
import { centerCropAdm } from './pillow';
import { encodePng } from './png';

/** How {@link toPng} brings an image to its size. */
export interface Framing {
  /** `adm`: as `centerCropAdm`; `none`: images must have the size. */
  readonly crop: 'adm' | 'none';
  /** Height and width. */
  readonly resolution: number;
}

/** What a thread is asked to do. */
export type ImageJob =
  | {
      readonly kind: 'pixels';
      readonly files: readonly StoredFile[];
      /** What each image has to be. */
      readonly shape: readonly [height: number, width: number, channels: number];
    }
  | ({ readonly kind: 'png'; readonly files: readonly StoredFile[] } & Framing);

/** A PNG, or why there is none. */
export type PngResult = { readonly png: Uint8Array } | { readonly reason: string };

/** What comes of a job: pixels of all images, one after another; or a result for each. */
export type ImageResult<J extends ImageJob> = J extends { kind: 'pixels' } ? Uint8Array : readonly PngResult[];

/** Does a job, in whatever thread it is called. */
export async function doImageJob(job: ImageJob): Promise<Uint8Array | PngResult[]> {
  if (job.kind === 'pixels') return readPixels(job.files, job.shape);
  const results: PngResult[] = [];
  for (const file of job.files) {
    try {
      results.push({ png: toPng(file.shown, await decodePicture(file.shown, readStored(file)), job) });
    } catch (error) {
      if (!(error instanceof DatasetError)) throw error;
      results.push({ reason: error.message });
    }
  }
  return results;
}

async function readPixels(
  files: readonly StoredFile[],
  [height, width, channels]: readonly [number, number, number],
): Promise<Uint8Array> {
  const size = height * width * channels;
  const all = new Uint8Array(files.length * size);
  for (const [i, file] of files.entries()) {
    const picture = await decodePicture(file.shown, readStored(file));
    if (picture.height !== height || picture.width !== width || picture.channels !== channels) {
      throw new DatasetError(
        `${file.shown}: is [${picture.height},${picture.width},${picture.channels}], expected [${height},${width},${channels}] as the first image`,
      );
    }
    all.set(picture.pixels, i * size);
  }
  return all;
}

/**
 * A picture as the PNG of three channels that a data set has.
 *
 * @throws DatasetError, with `name`, when it has another size and nothing is to be cut.
 */
export function toPng(name: string, picture: Picture, { crop, resolution }: Framing): Uint8Array {
  const rgb = picture.channels === 3 ? picture : { ...picture, channels: 3, pixels: greyToRgb(picture.pixels) };
  if (crop === 'none' && (rgb.height !== resolution || rgb.width !== resolution)) {
    throw new DatasetError(`${name}: is ${rgb.width} × ${rgb.height}, expected ${resolution} × ${resolution}`);
  }
  return encodePng(crop === 'adm' ? centerCropAdm(rgb, resolution) : rgb);
}
