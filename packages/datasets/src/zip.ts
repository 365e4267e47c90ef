import { closeSync, fstatSync, openSync } from 'node:fs';
import { pipeline, Readable } from 'node:stream';
import { createInflateRaw, inflateRawSync, crc32 as zlibCrc32 } from 'node:zlib';
import { DatasetError } from './error';
import { readExactly } from './read';

/** Where an archive has a file. */
export interface ZipEntry {
  /** A path of plain segments with `/` between them. */
  readonly name: string;
  /** Bytes of the file. */
  readonly size: number;
  /** Bytes in the archive. */
  readonly compressedSize: number;
  readonly crc: number;
  /** Whether the bytes are deflated, or else stored as they are. */
  readonly deflated: boolean;
  /** Byte of the archive at which the entry's header is. */
  readonly offset: number;
}

/** An open archive. */
export interface ZipArchive {
  readonly path: string;
  /** The file descriptor, which threads of the process share. */
  readonly fd: number;
  /** The files by name, in the directory's order; folders are left out. */
  readonly entries: ReadonlyMap<string, ZipEntry>;
  /**
   * The bytes of a file.
   *
   * @throws DatasetError naming archive and file when there is none of that name, or it is damaged.
   */
  read(name: string): Uint8Array;
  /** The same piece by piece, for files that memory should not hold; damage may show only at the end. */
  pieces(name: string): AsyncGenerator<Uint8Array>;
  /** Closes the file. */
  close(): void;
}

/** How {@link openZip} opens. */
export interface ZipOptions {
  /** Archives with larger files are refused. Default 2^28, a quarter of a GiB. */
  readonly maxEntryBytes?: number;
}

/** Files larger than that are none of a data set: a quarter of a GiB. */
export const defaultMaxEntryBytes = 2 ** 28;

/** The label file of ImageNet has 45 MB, and its directory 100 MB. */
const maxDirectoryBytes = 2 ** 31 - 1;

/** Deflate's highest ratio: 258 bytes from two bits. */
const maxRatio = 1032;

const signatures = { local: 0x04034b50, central: 0x02014b50, end: 0x06054b50, end64: 0x06064b50, locator: 0x07064b50 };

/**
 * Opens an archive: its directory is read, files are read one by one from disk when asked for. Stored and deflated entries; Zip64.
 *
 * What the archive says is data: names with `..`, `\`, a root or a drive, names that come twice, entries that overlap, are encrypted, are too
 * large or claim to unpack to more than deflate can are refused at once, and sizes and checksums are checked when a file is read.
 *
 * @throws DatasetError naming archive and entry.
 */
export function openZip(path: string, { maxEntryBytes = defaultMaxEntryBytes }: ZipOptions = {}): ZipArchive {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    throw new DatasetError(`${path}: cannot be read (${(error as NodeJS.ErrnoException).code})`, { cause: error });
  }
  try {
    const entries = readDirectory(path, fd, maxEntryBytes);
    const find = (name: string): ZipEntry => {
      const entry = entries.get(name);
      if (!entry) throw new DatasetError(`${path}/${name}: is not in the archive`);
      return entry;
    };
    return {
      path,
      fd,
      entries,
      read: (name) => readEntry(`${path}/${name}`, fd, find(name)),
      pieces: (name) => entryPieces(`${path}/${name}`, fd, find(name)),
      close: () => closeSync(fd),
    };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** The bytes of an entry, checked against its size and checksum. `shown` is what messages call it. */
export function readEntry(shown: string, fd: number, entry: ZipEntry): Uint8Array {
  const stored = readExactly(shown, fd, dataBegin(shown, fd, entry), entry.compressedSize);
  let bytes: Uint8Array = stored;
  if (entry.deflated) {
    try {
      // One byte more than it should have is seen, and nothing beyond is unpacked.
      bytes = inflateRawSync(stored, { maxOutputLength: entry.size + 1 });
    } catch (error) {
      throw new DatasetError(`${shown}: does not unpack to its ${entry.size} bytes (${(error as Error).message})`, {
        cause: error,
      });
    }
  }
  requireWhole(shown, entry, bytes.length, crc32(bytes));
  // No Buffer, whose slice() is a view where others' is a copy.
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

async function* entryPieces(shown: string, fd: number, entry: ZipEntry): AsyncGenerator<Uint8Array> {
  const source = storedPieces(shown, fd, dataBegin(shown, fd, entry), entry.compressedSize);
  // An error of the source comes out of the end of the pipe.
  const unpacked = entry.deflated ? pipeline(Readable.from(source), createInflateRaw(), () => {}) : source;
  let [size, crc] = [0, 0];
  try {
    for await (const piece of unpacked as Iterable<Buffer> | AsyncIterable<Buffer>) {
      size += piece.length;
      crc = zlibCrc32(piece, crc);
      if (size > entry.size) break;
      yield piece;
    }
  } catch (error) {
    if (error instanceof DatasetError) throw error;
    throw new DatasetError(`${shown}: does not unpack (${(error as Error).message})`, { cause: error });
  }
  requireWhole(shown, entry, size, crc);
}

/** Bytes that are read at once. */
const PIECE = 2 ** 18;

function* storedPieces(shown: string, fd: number, begin: number, size: number): Generator<Buffer> {
  for (let at = 0; at < size; at += PIECE) yield readExactly(shown, fd, begin + at, Math.min(PIECE, size - at));
}

/** Byte of the archive at which an entry's data begin. */
function dataBegin(shown: string, fd: number, { offset, deflated }: ZipEntry): number {
  const header = readExactly(shown, fd, offset, 30);
  if (header.readUInt32LE(0) !== signatures.local || header.readUInt16LE(8) !== (deflated ? 8 : 0)) {
    throw new DatasetError(`${shown}: has no header at byte ${offset} that agrees with the archive's directory`);
  }
  return offset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
}

function requireWhole(shown: string, { size, crc }: ZipEntry, actual: number, sum: number): void {
  if (actual !== size) throw new DatasetError(`${shown}: unpacks to ${actual} bytes, expected ${size}`);
  if (sum !== crc) throw new DatasetError(`${shown}: is damaged: its checksum is another`);
}

/** The checksum of archives, CRC-32. */
export const crc32 = (bytes: Uint8Array): number => zlibCrc32(bytes);

function readDirectory(path: string, fd: number, maxEntryBytes: number): Map<string, ZipEntry> {
  const fail = (reason: string): never => {
    throw new DatasetError(`${path}: ${reason}`);
  };
  const fileSize = fstatSync(fd).size;
  const { count, begin, size } = findDirectory(path, fd, fileSize, fail);
  if (size > maxDirectoryBytes || count * 46 > size) fail(`says to have ${count} entries in ${size} bytes`);
  const directory = readExactly(path, fd, begin, size);
  const entries = new Map<string, ZipEntry>();
  const all: ZipEntry[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + 46 > size || directory.readUInt32LE(at) !== signatures.central)
      fail(`entry ${i} of its directory is damaged`);
    const nameLength = directory.readUInt16LE(at + 28);
    const extraLength = directory.readUInt16LE(at + 30);
    const next = at + 46 + nameLength + extraLength + directory.readUInt16LE(at + 32);
    if (next > size) fail(`entry ${i} of its directory is cut short`);
    const entry = centralEntry(directory, at, nameLength, extraLength, (name, reason) =>
      fail(`entry "${name}" ${reason}`),
    );
    if (entry.size > maxEntryBytes) {
      fail(`entry "${entry.name}" says to have ${entry.size} bytes, expected at most ${maxEntryBytes}`);
    }
    if (entry.offset + 30 + nameLength + entry.compressedSize > begin)
      fail(`entry "${entry.name}" lies outside the file`);
    all.push(entry);
    if (!entry.name.endsWith('/')) {
      if (entries.has(entry.name)) fail(`has two entries "${entry.name}"`);
      entries.set(entry.name, entry);
    }
    at = next;
  }
  all.sort((a, b) => a.offset - b.offset);
  for (let i = 1; i < all.length; i++) {
    const before = all[i - 1]!;
    if (before.offset + 30 + before.compressedSize > all[i]!.offset) {
      fail(`entries "${before.name}" and "${all[i]!.name}" overlap`);
    }
  }
  return entries;
}

/** The entry whose record in the directory begins at `at`. */
function centralEntry(
  directory: Buffer,
  at: number,
  nameLength: number,
  extraLength: number,
  refuse: (name: string, reason: string) => never,
): ZipEntry {
  const flags = directory.readUInt16LE(at + 8);
  const method = directory.readUInt16LE(at + 10);
  const name = directory.toString((flags & 0x800) !== 0 ? 'utf8' : 'latin1', at + 46, at + 46 + nameLength);
  const fail = (reason: string): never => refuse(printable(name), reason);
  if (!isPlainPath(name)) fail('has a name that is no plain path');
  if ((flags & 0x2041) !== 0) fail('is encrypted');
  if (method !== 0 && method !== 8) fail(`is compressed by method ${method}, expected 0 (stored) or 8 (deflate)`);
  let compressedSize = directory.readUInt32LE(at + 20);
  let size = directory.readUInt32LE(at + 24);
  let offset = directory.readUInt32LE(at + 42);
  if (size === 0xffffffff || compressedSize === 0xffffffff || offset === 0xffffffff) {
    const extra = at + 46 + nameLength;
    let field = findZip64(directory, extra, extra + extraLength);
    const wide = (narrow: number): number => {
      if (narrow !== 0xffffffff) return narrow;
      if (!field || field.at + 8 > field.end) return fail('lacks the 64-bit numbers that it refers to');
      const value = directory.readBigUInt64LE(field.at);
      field = { at: field.at + 8, end: field.end };
      return Number(value);
    };
    size = wide(size);
    compressedSize = wide(compressedSize);
    offset = wide(offset);
  }
  const deflated = method === 8;
  if (deflated ? size > maxRatio * compressedSize : size !== compressedSize) {
    fail(`says to have ${size} bytes made from ${compressedSize}, which cannot be`);
  }
  return { name, size, compressedSize, crc: directory.readUInt32LE(at + 16), deflated, offset };
}

/** The Zip64 field among extra fields. */
function findZip64(directory: Buffer, from: number, to: number): { at: number; end: number } | undefined {
  for (let at = from; at + 4 <= to; ) {
    const end = at + 4 + directory.readUInt16LE(at + 2);
    if (end > to) return undefined;
    if (directory.readUInt16LE(at) === 1) return { at: at + 4, end };
    at = end;
  }
  return undefined;
}

/** Where the directory is, from the record at the end of the archive, or the Zip64 one that comes before it. */
function findDirectory(path: string, fd: number, fileSize: number, fail: (reason: string) => never) {
  const tailSize = Math.min(fileSize, 22 + 0xffff);
  const tailBegin = fileSize - tailSize;
  const tail = readExactly(path, fd, tailBegin, tailSize);
  let at = tailSize - 22;
  // The record's comment reaches to the end of the file.
  while (at >= 0 && !(tail.readUInt32LE(at) === signatures.end && at + 22 + tail.readUInt16LE(at + 20) === tailSize))
    at--;
  if (at < 0) return fail('is no zip archive, or is cut short: it has no end record');
  let end = tailBegin + at;
  let count = tail.readUInt16LE(at + 10);
  let size = tail.readUInt32LE(at + 12);
  let begin = tail.readUInt32LE(at + 16);
  if (tail.readUInt16LE(at + 4) !== 0 && tail.readUInt16LE(at + 4) !== 0xffff) fail('is one of several parts');
  if (count === 0xffff || size === 0xffffffff || begin === 0xffffffff) {
    if (end < 20 + 56) return fail('lacks the Zip64 record that it refers to');
    const locator = readExactly(path, fd, end - 20, 20);
    if (locator.readUInt32LE(0) === signatures.locator) {
      const where = Number(locator.readBigUInt64LE(8));
      if (where > end - 20 - 56) return fail('has a Zip64 locator that points outside');
      const record = readExactly(path, fd, where, 56);
      if (record.readUInt32LE(0) !== signatures.end64) return fail('lacks the Zip64 record that it refers to');
      count = Number(record.readBigUInt64LE(32));
      size = Number(record.readBigUInt64LE(40));
      begin = Number(record.readBigUInt64LE(48));
      end = where;
    }
  }
  if (begin + size !== end) fail('is damaged: its directory does not end where its end record begins');
  return { count, begin, size };
}

/** A path that stays where it is put: no root, no drive, no way up, nothing that a terminal would obey. */
function isPlainPath(name: string): boolean {
  const segments = (name.endsWith('/') ? name.slice(0, -1) : name).split('/');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for.
  if (/[\u0000-\u001f\u007f\\:\ufffd]/.test(name)) return false;
  return segments.every((segment) => segment !== '' && segment !== '.' && segment !== '..');
}

const printable = (name: string) => name.slice(0, 200).replace(/[\p{Cc}\p{Cf}]/gu, '\uFFFD');
