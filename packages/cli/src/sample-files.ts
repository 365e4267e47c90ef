import { existsSync } from 'node:fs';
import { open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { writeNpz } from '@cm/checkpoints';
import { writeFileAtomically } from '@cm/checkpoints/node';
import { writeEdmDataset } from '@cm/datasets/node';
import { type Communicator, inFirst } from '@cm/trainer';
import { encode } from 'fast-png';
import { shareOf } from './processes';
import type { Progress } from './progress';
import { firstNumbers } from './sampling';
import { openRunFolder } from './train-folder';

/** Images that are made when asked for. */
export interface GeneratedImages {
  /** Plain data that decide every image: images of a run that was stopped are kept where these are the same. */
  readonly identity: Readonly<Record<string, unknown>>;
  readonly count: number;
  /** [height, width, channels]. */
  readonly shape: readonly [number, number, number];
  /** Class of an image. Default: none have classes. */
  readonly label?: (number: number) => number;
  /** Bytes of the images of given numbers, in their order. */
  images(numbers: readonly number[]): Iterable<Uint8Array>;
}

/** How {@link writeImages} writes. */
export interface WriteOptions {
  /** Whether a zip or `.npz` that is there is replaced. Default false. */
  readonly force?: boolean;
  /** The processes that share the images of a folder. Default: this one is alone. */
  readonly communicator?: Communicator;
  readonly onProgress?: (progress: Progress) => void;
}

/**
 * Writes images as PNG files of a folder (`00000000.png`, …), as a zip data set of EDM's (with labels, where there are any), or as a `.npz`
 * as ADM's (`arr_0`, bytes [count, height, width, 3], and `arr_1`, labels). What an earlier call that was stopped has made is kept; at no moment
 * is a file under its final name half written.
 *
 * @throws Error when the file is there already, or what is there, or was begun, is of another model or other settings; the file system's error
 */
export async function writeImages(to: string, images: GeneratedImages, options: WriteOptions = {}): Promise<void> {
  const extension = extname(to);
  if (extension !== '.zip' && extension !== '.npz') return intoFolder(to, images, options);
  if ((options.communicator?.size ?? 1) > 1)
    throw new Error(`${to} is one file, expected a folder for several processes`);
  if (!options.force && existsSync(to)) throw new Error(`${to} is there already; --force replaces it`);
  await (extension === '.zip' ? intoZip : intoNpz)(to, images, options);
}

const channelsOf = ([, , channels]: GeneratedImages['shape']): 1 | 3 => {
  if (channels !== 1 && channels !== 3) throw new Error(`images have ${channels} channels, expected 1 or 3`);
  return channels;
};

function pngOf(data: Uint8Array, shape: GeneratedImages['shape']): Uint8Array {
  return encode({ height: shape[0], width: shape[1], data, channels: channelsOf(shape), depth: 8 });
}

const fileName = (number: number) => `${String(number).padStart(8, '0')}.png`;

async function intoFolder(
  to: string,
  source: GeneratedImages,
  { communicator, onProgress }: WriteOptions,
): Promise<void> {
  channelsOf(source.shape);
  if (existsSync(to) && !(await stat(to)).isDirectory()) {
    throw new Error(`${to} is a file, expected a folder, .zip or .npz`);
  }
  const missing = await inFirst(communicator, async () => {
    await openRunFolder(to, source.identity, { file: 'samples.json', what: 'images' });
    const there = new Set(await readdir(to));
    return firstNumbers(source.count).filter((number) => !there.has(fileName(number)));
  });
  const resumed = source.count - missing.length;
  const own = missing.slice(...shareOf(communicator, missing.length));
  let at = 0;
  for (const data of source.images(own)) {
    // Not flushed to disk each: that takes longer than to draw them.
    const path = join(to, fileName(own[at++]!));
    await writeFile(`${path}.tmp`, pngOf(data, source.shape));
    await rename(`${path}.tmp`, path);
    onProgress?.({ done: resumed + at, total: resumed + own.length, resumed });
  }
  // Whoever goes on finds all images.
  await inFirst(communicator, async () => {});
}

async function intoZip(to: string, { identity, count, shape, label, images }: GeneratedImages, options: WriteOptions) {
  channelsOf(shape);
  const source = {
    identity: JSON.stringify([identity, count]),
    count,
    async *images(from: number) {
      let number = from;
      for (const data of images(firstNumbers(count).slice(from))) {
        yield { png: pngOf(data, shape), ...(label && { label: label(number) }) };
        number++;
      }
    },
  };
  await writeEdmDataset(to, source, options.onProgress ? { onProgress: options.onProgress } : {});
}

async function intoNpz(to: string, source: GeneratedImages, { onProgress }: WriteOptions): Promise<void> {
  const { identity, count, shape, label, images } = source;
  if (shape[2] !== 3) throw new Error(`${to}: images have ${shape[2]} channels, expected 3 in a .npz; take a folder`);
  const size = shape.reduce((product, extent) => product * extent, 1);
  const [partial, journal] = [`${to}.partial`, `${to}.partial.json`];
  const said = JSON.stringify(identity);
  if (existsSync(journal) && (await readFile(journal, 'utf8')) !== said) {
    throw new Error(`${journal}: is of another model, or other settings; remove it to begin anew`);
  }
  if (!existsSync(journal)) {
    await rm(partial, { force: true });
    await writeFileAtomically(journal, Buffer.from(said));
  }
  const file = await open(partial, 'a+');
  let data: Uint8Array;
  try {
    const resumed = Math.min(count, Math.floor((await file.stat()).size / size));
    await file.truncate(resumed * size);
    let done = resumed;
    for (const pixels of images(firstNumbers(count).slice(resumed))) {
      await file.appendFile(pixels);
      onProgress?.({ done: ++done, total: count, resumed });
    }
    data = await readFile(partial);
  } finally {
    await file.close();
  }
  const labels = label && Int32Array.from(firstNumbers(count), label);
  const bytes = writeNpz({
    arr_0: { dtype: 'U8', shape: [count, ...shape], data },
    ...(labels && { arr_1: { dtype: 'I32', shape: [count], data: new Uint8Array(labels.buffer) } }),
  });
  await writeFileAtomically(to, bytes);
  await rm(partial);
  await rm(journal);
}
