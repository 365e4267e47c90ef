import { dirname, resolve } from 'node:path';
import { writeFileAtomically } from '@cm/checkpoints/node';
import { openImages } from '@cm/fid/node';
import { type GenerateOptions, type Generator, withGenerator } from './generate';
import { gridPng } from './image-grid';
import { isFirst, processGroup } from './processes';
import type { Progress } from './progress';
import { writeImages } from './sample-files';
import type { Sampling } from './sampling';

/** How {@link sample} samples. */
export interface SampleCommandOptions extends GenerateOptions {
  /** Default 64. */
  readonly images?: number;
  /** Default: the fewest of the recipe; 18 of a diffusion model. */
  readonly steps?: number;
  /** PNG file for a picture of the first 64 images. Default: none. */
  readonly grid?: string;
  /** Whether a zip or `.npz` that is there is replaced. Default false. */
  readonly force?: boolean;
  /** Called as images are made. */
  readonly onProgress?: (progress: Progress) => void;
}

/** What {@link sample} did. */
export interface Sampled {
  readonly to: string;
  readonly images: number;
  /** The file that the model is in. */
  readonly model: string;
  /** The sampler, in words. */
  readonly sampler: string;
}

/** Images of a picture, at most. */
const GRID = 64;

/**
 * Draws images from a model into a folder or zip of PNG files, or a `.npz`. Image i depends on the model, the seed and i alone, not on the batch or
 * on how many there are; images that are there already are kept, so that a call that was stopped goes on. Several processes share those of a folder.
 *
 * @param path A run folder, or a file that `cm inspect` finds a network's configuration in.
 * @throws Error when an option does not fit the model, or what is there is of other settings
 */
export async function sample(
  path: string,
  to: string,
  { images: count = 64, steps, grid, force = false, onProgress, ...options }: SampleCommandOptions = {},
): Promise<Sampled> {
  if (grid !== undefined && resolve(dirname(grid)) === resolve(to)) {
    throw new Error(`--grid ${grid} would be taken for one of the images in ${to}, expected another folder`);
  }
  return withGenerator(path, steps === undefined ? undefined : [steps], options, async (generator) => {
    const { file, samplings } = generator;
    const sampling = samplings[0]!;
    const { classes, imageShape } = file.network;
    const source = {
      identity: identityOf(generator, sampling, options),
      count,
      shape: imageShape,
      ...(classes > 0 && { label: (number: number) => generator.labelOf(number)! }),
      images: (numbers: readonly number[]) => generator.images(sampling, numbers),
    };
    const communicator = await processGroup(generator.backend);
    await writeImages(to, source, { force, ...(communicator && { communicator }), ...(onProgress && { onProgress }) });
    if (grid !== undefined && isFirst()) await writeGrid(grid, to, Math.min(count, GRID));
    return { to, images: count, model: file.path, sampler: sampling.name };
  });
}

/** All that decides an image beside its number. */
function identityOf({ file, guide }: Generator, { name }: Sampling, { seed = 0, label }: GenerateOptions) {
  return {
    model: file.sha256,
    sampler: name,
    seed,
    class: label ?? 'in turn',
    ...(guide && { guidance: guide.strength, guide: guide.file.sha256 }),
  };
}

async function writeGrid(path: string, images: string, count: number): Promise<void> {
  const source = await openImages(images);
  const pixels: Uint8Array[] = [];
  let [height, width] = [0, 0];
  for await (const entry of source.entries()) {
    const image = await entry.decode();
    [height, width] = [image.height, image.width];
    pixels.push(Uint8Array.from(image.rgb));
    if (pixels.length === count) break;
  }
  await writeFileAtomically(path, gridPng(Buffer.concat(pixels), [pixels.length, height, width, 3]));
}
