import { type FileHandle, open } from 'node:fs/promises';
import { pipeline } from 'node:stream';
import { crc32, createInflateRaw, inflateRawSync } from 'node:zlib';

/** A file of a zip archive on disk. */
export interface ArchiveEntry {
  readonly name: string;
  /** Bytes, unpacked. */
  readonly size: number;
  readonly compressedSize: number;
  readonly deflated: boolean;
  readonly crc: number;
  /** Byte of the archive at which the entry's header is. */
  readonly offset: number;
}

/** An archive whose files are read one by one: it is never in memory whole. */
export interface Archive {
  readonly path: string;
  readonly file: FileHandle;
  readonly entries: readonly ArchiveEntry[];
}

const signatures = { local: 0x04034b50, central: 0x02014b50, end: 0x06054b50, end64: 0x06064b50, locator: 0x07064b50 };

/**
 * Opens an archive, Zip64 included: its directory alone is read. The caller closes `file`.
 *
 * @throws Error naming the archive when it is damaged; the file system's error.
 */
export async function openArchive(path: string): Promise<Archive> {
  const file = await open(path, 'r');
  try {
    return { path, file, entries: await readDirectory(path, file) };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** What `use` makes of an archive, which is closed afterwards. @throws Error as {@link openArchive}. */
export async function withArchive<T>(path: string, use: (archive: Archive) => Promise<T>): Promise<T> {
  const archive = await openArchive(path);
  try {
    return await use(archive);
  } finally {
    await archive.file.close();
  }
}

async function readExactly(path: string, file: FileHandle, at: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, at + filled);
    if (bytesRead === 0) throw new Error(`${path} ends at byte ${at + filled}, expected ${length} bytes from ${at}`);
    filled += bytesRead;
  }
  return bytes;
}

async function readDirectory(path: string, file: FileHandle): Promise<ArchiveEntry[]> {
  const { size: fileSize } = await file.stat();
  const { begin, size, count } = await findDirectory(path, file, fileSize);
  if (begin + size > fileSize || count * 46 > size) {
    throw new Error(`${path} says to have ${count} files listed in ${size} bytes at ${begin}, which cannot be`);
  }
  const directory = await readExactly(path, file, begin, size);
  const entries: ArchiveEntry[] = [];
  for (let at = 0; entries.length < count; ) {
    if (at + 46 > size || directory.readUInt32LE(at) !== signatures.central) {
      throw new Error(`${path}: entry ${entries.length} of its directory is damaged`);
    }
    const end = at + 46 + directory.readUInt16LE(at + 28);
    const next = end + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
    const method = directory.readUInt16LE(at + 10);
    const name = directory.toString('utf8', at + 46, end);
    if (next > size) throw new Error(`${path}: "${name}" of its directory is cut short`);
    if (directory.readUInt16LE(at + 8) & 1) throw new Error(`${path}/${name} is encrypted`);
    if (method !== 0 && method !== 8) {
      throw new Error(`${path}/${name} is compressed by method ${method}, expected 0 (stored) or 8 (deflate)`);
    }
    const [entrySize, compressedSize, offset] = wideNumbers(directory, at, end, next);
    entries.push({
      name,
      size: entrySize,
      compressedSize,
      deflated: method === 8,
      crc: directory.readUInt32LE(at + 16),
      offset,
    });
    at = next;
  }
  return entries;
}

/** Size, compressed size and offset of an entry, from its Zip64 field where the 32-bit ones are full. */
function wideNumbers(directory: Buffer, at: number, extra: number, end: number): [number, number, number] {
  const numbers = [24, 20, 42].map((offset) => directory.readUInt32LE(at + offset));
  for (let field = extra; field + 4 <= end; field += 4 + directory.readUInt16LE(field + 2)) {
    if (directory.readUInt16LE(field) !== 1) continue;
    let from = field + 4;
    for (const [i, number] of numbers.entries()) {
      if (number !== 0xffffffff || from + 8 > end) continue;
      numbers[i] = Number(directory.readBigUInt64LE(from));
      from += 8;
    }
  }
  return numbers as [number, number, number];
}

/** Where the directory is, from the record at the end of the file, or the Zip64 one before it. */
async function findDirectory(path: string, file: FileHandle, fileSize: number) {
  const tailSize = Math.min(fileSize, 22 + 0xffff);
  const tail = await readExactly(path, file, fileSize - tailSize, tailSize);
  let at = tailSize - 22;
  while (at >= 0 && tail.readUInt32LE(at) !== signatures.end) at--;
  if (at < 0) throw new Error(`${path} is no zip archive, or is cut short: it has no directory`);
  const locator = at - 20;
  if (locator >= 0 && tail.readUInt32LE(locator) === signatures.locator) {
    const where = Number(tail.readBigUInt64LE(locator + 8));
    const record = await readExactly(path, file, where, 56);
    if (record.readUInt32LE(0) !== signatures.end64)
      throw new Error(`${path} lacks the Zip64 record that it refers to`);
    const wide = (offset: number) => Number(record.readBigUInt64LE(offset));
    return { count: wide(32), size: wide(40), begin: wide(48) };
  }
  return { count: tail.readUInt16LE(at + 10), size: tail.readUInt32LE(at + 12), begin: tail.readUInt32LE(at + 16) };
}

/** Byte of the archive at which an entry's data begin. */
async function dataBegin({ path, file }: Archive, { name, offset }: ArchiveEntry): Promise<number> {
  const header = await readExactly(path, file, offset, 30);
  if (header.readUInt32LE(0) !== signatures.local) throw new Error(`${path}/${name} is not where the directory says`);
  return offset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
}

/** The bytes of a file of the archive. @throws Error naming it when they are damaged. */
export async function readEntry(archive: Archive, entry: ArchiveEntry): Promise<Uint8Array> {
  const { path, file } = archive;
  const stored = await readExactly(path, file, await dataBegin(archive, entry), entry.compressedSize);
  let bytes: Uint8Array = stored;
  try {
    if (entry.deflated) bytes = inflateRawSync(stored, { maxOutputLength: entry.size + 1 });
  } catch (error) {
    throw new Error(`${path}/${entry.name} does not unpack: ${(error as Error).message}`, { cause: error });
  }
  requireWhole(archive, entry, bytes.length, crc32(bytes));
  // No Buffer, whose slice() is a view where others' is a copy.
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** The same piece by piece, for files that memory should not hold; damage may show only at the end. */
export async function* entryPieces(archive: Archive, entry: ArchiveEntry): AsyncGenerator<Uint8Array> {
  const { path, file } = archive;
  if (entry.size === 0) return;
  const start = await dataBegin(archive, entry);
  const end = start + entry.compressedSize - 1;
  const source = file.createReadStream({ start, end, autoClose: false, highWaterMark: 2 ** 18 });
  // An error of the source comes out of the end of the pipe.
  const unpacked = entry.deflated ? pipeline(source, createInflateRaw(), () => {}) : source;
  let [size, crc] = [0, 0];
  try {
    for await (const piece of unpacked as AsyncIterable<Buffer>) {
      size += piece.length;
      crc = crc32(piece, crc);
      if (size > entry.size) break;
      yield piece;
    }
  } catch (error) {
    throw new Error(`${path}/${entry.name} does not unpack: ${(error as Error).message}`, { cause: error });
  } finally {
    source.destroy();
  }
  requireWhole(archive, entry, size, crc);
}

function requireWhole({ path }: Archive, { name, size, crc }: ArchiveEntry, actual: number, sum: number): void {
  if (actual !== size) throw new Error(`${path}/${name} unpacks to ${actual} bytes or more, expected ${size}`);
  if (sum !== crc) throw new Error(`${path}/${name} is damaged: its checksum is another`);
}
