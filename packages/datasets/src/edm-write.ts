import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { type ImageDataset, imageSize } from './dataset';
import { DatasetError } from './error';
import { type Framing, toPng } from './image-work';
import { encodePng } from './png';
import { crc32 } from './zip';
import { centralRecord, endRecords, localHeader, type StoredEntry, wholeEntries } from './zip-write';

/** An image for a data set, as the bytes of a PNG; or one that could not be read. */
export type EdmImage = { readonly png: Uint8Array; readonly label?: number } | { readonly damaged: string };

/** Where the images of a new data set come from. */
export interface EdmSource {
  /** What the images are and how they were made: a run that was stopped is continued only where this is the same. */
  readonly identity: string;
  readonly count: number;
  /** The images in order, from number `from` on. */
  images(from: number): AsyncIterable<EdmImage>;
}

/** How far {@link writeEdmDataset} is. */
export interface WriteProgress {
  /** Images of the source that are done, damaged ones included. */
  readonly done: number;
  readonly total: number;
  /** Of those, how many an earlier run had done. */
  readonly resumed: number;
}

/** What {@link writeEdmDataset} wrote. */
export interface WrittenDataset {
  readonly images: number;
  /** Classes, where all images have a label: one more than the largest. */
  readonly classes?: number;
  /** What is wrong with each image that is not in the data set, with its name. */
  readonly damaged: readonly string[];
  /** Images of the source that an earlier run had done. */
  readonly resumed: number;
}

/** The name that EDM gives to an image. */
export function edmImageName(index: number): string {
  const digits = String(index).padStart(8, '0');
  return `${digits.slice(0, 5)}/img${digits}.png`;
}

/**
 * Writes a data set as EDM and EDM2 read it: a zip of `00000/img00000000.png` and so on, stored, and `dataset.json` with the labels at its end.
 *
 * The archive appears under its name when it is whole. Until then it grows in `PATH.partial`, beside a journal, `PATH.partial.jsonl`; when the process is
 * stopped, at whatever moment, the same call goes on after the last whole image, and the bytes come out as if it had not been stopped.
 * Images that are damaged are left out and returned by name.
 *
 * @param images A data set of one or three channels, or a source that gives one image after another.
 * @throws DatasetError when there is a partial archive of another source, no image is left, or a label is no whole number; the file
 *   system's error when the disk is full.
 */
export async function writeEdmDataset(
  path: string,
  images: ImageDataset | EdmSource,
  { onProgress }: { readonly onProgress?: (progress: WriteProgress) => void } = {},
): Promise<WrittenDataset> {
  const source = 'identity' in images ? images : sourceOf(images);
  mkdirSync(dirname(path), { recursive: true });
  const partial = openPartial(path, source.identity);
  try {
    const resumed = partial.done();
    for await (const image of source.images(resumed)) {
      partial.add(image);
      onProgress?.({ done: partial.done(), total: source.count, resumed });
    }
    if (partial.done() !== source.count) {
      throw new DatasetError(`${path}: the source gave ${partial.done()} images, expected ${source.count}`);
    }
    return { ...partial.finish(), resumed };
  } finally {
    partial.close();
  }
}

/** Line of the journal: a label, null for an image without one, or what is wrong with an image that is left out. */
type Line = number | null | { readonly damaged: string };

/** The archive that grows, as an earlier run has left it. */
function openPartial(path: string, identity: string) {
  const names = { zip: `${path}.partial`, journal: `${path}.partial.jsonl` };
  const first = `${JSON.stringify({ identity })}\n`;
  const lines = existsSync(names.journal) && existsSync(names.zip) ? readJournal(names.journal, first) : undefined;
  const zip = openSync(names.zip, lines ? 'r+' : 'w+');
  const journal = openSync(names.journal, lines ? 'r+' : 'w+');

  const kept: Line[] = [];
  const entries: StoredEntry[] = [];
  let zipEnd = 0;
  let journalEnd = first.length;
  const whole = wholeEntries(names.zip, zip, edmImageName);
  for (const line of lines ?? []) {
    if (typeof line !== 'object' || line === null) {
      const next = whole.next();
      // What the journal has and the archive has not, or not whole, is done again.
      if (next.done) break;
      entries.push(next.value);
      zipEnd = endOf(entries.length - 1, next.value);
    }
    kept.push(line);
    journalEnd += Buffer.byteLength(`${JSON.stringify(line)}\n`);
  }
  ftruncateSync(zip, zipEnd);
  ftruncateSync(journal, lines ? journalEnd : 0);
  if (!lines) writeAll(journal, 0, Buffer.from(first));

  const append = (name: string, bytes: Uint8Array): StoredEntry => {
    const entry = { size: bytes.length, crc: crc32(bytes), offset: zipEnd };
    const header = localHeader(name, entry.size, entry.crc);
    writeAll(zip, zipEnd, Buffer.concat([header, bytes]));
    zipEnd += header.length + bytes.length;
    return entry;
  };

  return {
    done: () => kept.length,
    add(image: EdmImage): void {
      const line = 'damaged' in image ? { damaged: image.damaged } : (image.label ?? null);
      if (typeof line === 'number' && !(Number.isInteger(line) && line >= 0)) {
        throw new DatasetError(`writeEdmDataset: label ${kept.length} is ${line}, expected a whole number`);
      }
      if ('png' in image) entries.push(append(edmImageName(entries.length), image.png));
      const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
      writeAll(journal, journalEnd, bytes);
      journalEnd += bytes.length;
      kept.push(line);
    },
    finish(): Omit<WrittenDataset, 'resumed'> {
      const damaged = kept.flatMap((line) => (typeof line === 'object' && line !== null ? [line.damaged] : []));
      const labels = kept.filter((line) => typeof line !== 'object' || line === null);
      if (labels.length === 0) throw new DatasetError(`${path}: no image could be read; the first: ${damaged[0]}`);
      const classes = labels.includes(null)
        ? undefined
        : labels.reduce<number>((most, label) => Math.max(most, label as number), 0) + 1;
      const json = { labels: classes === undefined ? null : labels.map((label, i) => [edmImageName(i), label]) };
      const last = append('dataset.json', Buffer.from(JSON.stringify(json)));
      const begin = zipEnd;
      const records = [
        ...entries.map((entry, i) => centralRecord(edmImageName(i), entry)),
        centralRecord('dataset.json', last),
      ];
      const directory = Buffer.concat(records);
      writeAll(zip, begin, Buffer.concat([directory, endRecords(records.length, begin, directory.length)]));
      fsyncSync(zip);
      renameSync(names.zip, path);
      rmSync(names.journal);
      return { images: entries.length, ...(classes !== undefined && { classes }), damaged };
    },
    close(): void {
      closeSync(zip);
      closeSync(journal);
    },
  };
}

const endOf = (index: number, { offset, size }: StoredEntry) => offset + 30 + edmImageName(index).length + size;

/** The whole lines of a journal, without its first. */
function readJournal(path: string, first: string): Line[] {
  const text = readFileSync(path, 'utf8');
  if (!text.includes('\n')) return [];
  if (!text.startsWith(first)) {
    throw new DatasetError(`${path}: is of another source, or other settings; remove it to begin anew`);
  }
  const lines = text.slice(first.length).split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Line);
}

function writeAll(fd: number, at: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done, at + done);
}

/**
 * A data set in memory as a source.
 *
 * @param framing How images are brought to a size. Default: they stay as they are.
 */
export function sourceOf({ images, shape, labels }: ImageDataset, framing?: Framing): EdmSource {
  const [count, height, width, channels] = shape;
  if (channels !== 1 && channels !== 3) {
    throw new DatasetError(`writeEdmDataset: images have ${channels} channels, expected 1 or 3`);
  }
  const size = imageSize(shape);
  const hash = createHash('sha256')
    .update(JSON.stringify([shape, framing ?? null]))
    .update(images);
  if (labels) hash.update(labels);
  return {
    identity: hash.digest('hex'),
    count,
    async *images(from) {
      for (let i = from; i < count; i++) {
        const picture = { height, width, channels, pixels: images.subarray(i * size, (i + 1) * size) };
        const png = framing ? toPng(`image ${i}`, picture, framing) : encodePng(picture);
        yield { png, ...(labels && { label: labels[i]! }) };
      }
    },
  };
}
