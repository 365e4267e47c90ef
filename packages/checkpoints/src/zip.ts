import { Inflate, inflateSync } from 'fflate';
import { CheckpointError, quote } from './error';
import { type Budget, budgetOf, defaultMaxBytes } from './limits';
import type { Source } from './source';

/** A file of an archive. */
export interface ZipEntry {
  /** Bytes, uncompressed. */
  readonly size: number;
  /** Byte of the archive at which its data begin. */
  readonly offset: number;
  /** Whether its bytes lie in the archive as they are. */
  readonly stored: boolean;
  /**
   * Its bytes from `begin` to `end`, or all: those of the archive where they are stored, else inflated anew each time.
   *
   * @throws CheckpointError when they are damaged
   */
  read(begin?: number, end?: number): Uint8Array;
  /** Its first bytes, at most so many, without reading the rest. */
  head(count: number): Uint8Array;
}

/** Deflate's highest ratio: 258 bytes from two bits. */
const MAX_RATIO = 1032;

/** Entries of an archive: one a tensor, or one an array. */
const MAX_ENTRIES = 20_000;

/** Whether a file begins as archives do. */
export const isZip = (bytes: Uint8Array) =>
  bytes[0] === 0x50 && bytes[1] === 0x4b && ((bytes[2] === 3 && bytes[3] === 4) || (bytes[2] === 5 && bytes[3] === 6));

/**
 * The files of an archive by name, in the directory's order; Zip64 included. Nothing is inflated yet. Entries that overlap, lie outside the
 * file, are encrypted, come twice or ask for more memory than the budget has are refused.
 *
 * @throws CheckpointError with the reason and the byte
 * @see APPNOTE.TXT, PKWARE's description of the format
 */
export function readZip(
  source: Source,
  budget: Budget = budgetOf(defaultMaxBytes(source.size)),
): Map<string, ZipEntry> {
  const { count, begin, end } = directoryOf(source);
  const directory = source.read(begin, end);
  const view = viewOf(directory);
  const entries = new Map<string, ZipEntry>();
  const spans: [begin: number, end: number][] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    const fail = (reason: string): never => {
      throw new CheckpointError(reason, begin + at);
    };
    if (at + 46 > directory.length || view.getUint32(at, true) !== 0x02014b50)
      fail('archive has no entry where its directory says');
    const flags = view.getUint16(at + 8, true);
    const method = view.getUint16(at + 10, true);
    const crc = view.getUint32(at + 16, true);
    const nameLength = view.getUint16(at + 28, true);
    const extraLength = view.getUint16(at + 30, true);
    const next = at + 46 + nameLength + extraLength + view.getUint16(at + 32, true);
    if (next > directory.length) fail('entry reaches beyond the directory');
    const name = new TextDecoder().decode(directory.subarray(at + 46, at + 46 + nameLength));
    const { compressed, size, local } = wideSizes(view, at, at + 46 + nameLength, extraLength, fail);
    if (flags & 1) fail(`${quote(name)} is encrypted`);
    if (method !== 0 && method !== 8) fail(`${quote(name)} is compressed by method ${method}, expected 0 or 8`);
    if (method === 0 && compressed !== size) fail(`${quote(name)} is stored, but ${size} bytes take ${compressed}`);
    if (method === 8 && size > MAX_RATIO * compressed)
      fail(`${quote(name)} says that ${compressed} bytes inflate to ${size}`);
    if (entries.has(name)) fail(`archive has ${quote(name)} twice`);
    const notThere = () => fail(`${quote(name)} is not where the directory says`);
    const header = local + 30 <= begin ? viewOf(source.read(local, local + 30)) : notThere();
    if (header.getUint32(0, true) !== 0x04034b50) notThere();
    const data = local + 30 + header.getUint16(26, true) + header.getUint16(28, true);
    if (!(data + compressed <= begin)) fail(`${quote(name)} reaches beyond the archive's data`);
    if (method === 8) budget.allocate(size, begin + at);
    spans.push([local, data + compressed]);
    const packed = (from = 0, to = compressed) => source.read(data + from, data + to);
    const where = { name, offset: data, size };
    entries.set(name, method === 8 ? deflatedEntry(where, packed, compressed, crc) : storedEntry(where, packed));
    at = next;
  }
  spans.sort((a, b) => a[0] - b[0]);
  for (let i = 1; i < spans.length; i++) {
    if (spans[i]![0] < spans[i - 1]![1]) throw new CheckpointError('entries of the archive overlap', spans[i]![0]);
  }
  return entries;
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function directoryOf(source: Source): { count: number; begin: number; end: number } {
  // The end record is followed by a comment of up to 65,535 bytes, and preceded by where Zip64's is.
  const tail = Math.max(0, source.size - 20 - 22 - 0xffff);
  const view = viewOf(source.read(tail, source.size));
  let record = view.byteLength - 22;
  while (record >= 0 && view.getUint32(record, true) !== 0x06054b50) record--;
  if (record < 0) throw new CheckpointError('archive has no directory: it is cut short', source.size);
  const at = tail + record;
  let count = view.getUint16(record + 10, true);
  let size = view.getUint32(record + 12, true);
  let begin = view.getUint32(record + 16, true);
  let end = at;
  if (record >= 20 && view.getUint32(record - 20, true) === 0x07064b50) {
    end = Number(view.getBigUint64(record - 12, true));
    const wide = end + 56 <= at - 20 ? viewOf(source.read(end, end + 56)) : undefined;
    if (wide?.getUint32(0, true) !== 0x06064b50) {
      throw new CheckpointError('archive has no Zip64 directory where it says', at - 20);
    }
    count = Number(wide.getBigUint64(32, true));
    size = Number(wide.getBigUint64(40, true));
    begin = Number(wide.getBigUint64(48, true));
  }
  if (!(begin + size <= end))
    throw new CheckpointError(`directory of ${size} bytes at ${begin} is not in the archive`, at);
  if (!(count <= MAX_ENTRIES && count * 46 <= size)) {
    throw new CheckpointError(`directory of ${size} bytes is said to have ${count} entries`, at);
  }
  return { count, begin, end: begin + size };
}

/** Sizes and place of an entry, from its Zip64 field where the 32-bit ones are full. */
function wideSizes(view: DataView, at: number, extra: number, extraLength: number, fail: (reason: string) => never) {
  const sizes = [view.getUint32(at + 24, true), view.getUint32(at + 20, true), view.getUint32(at + 42, true)];
  for (let field = extra; field + 4 <= extra + extraLength; ) {
    const length = view.getUint16(field + 2, true);
    if (view.getUint16(field, true) === 1) {
      let from = field + 4;
      const end = Math.min(from + length, extra + extraLength);
      for (let i = 0; i < 3; i++) {
        if (sizes[i] !== 0xffffffff) continue;
        if (from + 8 > end) fail('Zip64 field is cut short');
        sizes[i] = Number(view.getBigUint64(from, true));
        from += 8;
      }
    }
    field += 4 + length;
  }
  return { size: sizes[0]!, compressed: sizes[1]!, local: sizes[2]! };
}

type Where = { readonly name: string; readonly offset: number; readonly size: number };
type Packed = (begin?: number, end?: number) => Uint8Array;

const storedEntry = ({ offset, size }: Where, packed: Packed): ZipEntry => ({
  ...{ size, offset, stored: true },
  read: packed,
  head: (count) => packed(0, Math.min(count, size)),
});

function deflatedEntry({ name, offset, size }: Where, packed: Packed, compressed: number, crc: number): ZipEntry {
  const fail = (reason: string): never => {
    throw new CheckpointError(`${quote(name)} ${reason}`, offset);
  };
  return {
    ...{ size, offset, stored: false },
    read(begin = 0, end = size) {
      let bytes: Uint8Array;
      try {
        bytes = inflateSync(packed(), { out: new Uint8Array(size) });
      } catch (error) {
        return fail(`does not inflate: ${(error as Error).message}`);
      }
      if (bytes.length !== size) fail(`inflates to ${bytes.length} bytes, expected ${size}`);
      if (crc32(bytes) !== crc) fail('is damaged: its checksum is another');
      return bytes.subarray(begin, end);
    },
    head(count) {
      const bytes = new Uint8Array(Math.min(count, size));
      let filled = 0;
      const stream = new Inflate((chunk) => {
        bytes.set(chunk.subarray(0, bytes.length - filled), filled);
        filled = Math.min(bytes.length, filled + chunk.length);
      });
      try {
        for (let at = 0; at < compressed && filled < bytes.length; at += 1024) {
          stream.push(packed(at, Math.min(at + 1024, compressed)), at + 1024 >= compressed);
        }
      } catch (error) {
        return fail(`does not inflate: ${(error as Error).message}`);
      }
      return bytes.subarray(0, filled);
    },
  };
}

/**
 * The bytes of an archive of stored files, each beginning at a multiple of 64 bytes, as PyTorch aligns its own. No dates: the same files give
 * the same bytes.
 *
 * @throws RangeError when the archive would be of 4 GiB or more, or have more than 65,534 files: that needs Zip64, which is not written
 */
export function writeZip(files: readonly (readonly [name: string, data: Uint8Array])[]): Uint8Array {
  let at = 0;
  const placed = files.map(([name, data]) => {
    const encoded = new TextEncoder().encode(name);
    // An extra field takes four bytes or more.
    const unpadded = at + 30 + encoded.length + 4;
    const padding = (64 - (unpadded % 64)) % 64;
    const entry = { name: encoded, data, local: at, padding, crc: crc32(data) };
    at = unpadded + padding + data.length;
    return entry;
  });
  const size = at + placed.reduce((sum, { name }) => sum + 46 + name.length, 22);
  if (size >= 2 ** 32 - 1 || files.length > 65534) {
    throw new RangeError(`writeZip: ${files.length} files of ${size} bytes, expected fewer than 65,535 and 4 GiB`);
  }

  const archive = new Uint8Array(size);
  const view = new DataView(archive.buffer);
  /** What the header beside a file and the one in the directory have in common. */
  const common = (offset: number, { name, data, crc }: (typeof placed)[number]) => {
    view.setUint16(offset, 20, true);
    // Names are UTF-8; the date is the first that the format has.
    view.setUint16(offset + 2, 0x0800, true);
    view.setUint16(offset + 8, 0x0021, true);
    view.setUint32(offset + 10, crc, true);
    view.setUint32(offset + 14, data.length, true);
    view.setUint32(offset + 18, data.length, true);
    view.setUint16(offset + 22, name.length, true);
  };
  const begin = at;
  for (const entry of placed) {
    const { name, data, local, padding } = entry;
    view.setUint32(local, 0x04034b50, true);
    common(local + 4, entry);
    view.setUint16(local + 28, 4 + padding, true);
    archive.set(name, local + 30);
    view.setUint16(local + 30 + name.length, 0x4246, true);
    view.setUint16(local + 32 + name.length, padding, true);
    archive.set(data, local + 34 + name.length + padding);

    view.setUint32(at, 0x02014b50, true);
    view.setUint16(at + 4, 20, true);
    common(at + 6, entry);
    view.setUint32(at + 42, local, true);
    archive.set(name, at + 46);
    at += 46 + name.length;
  }
  view.setUint32(at, 0x06054b50, true);
  view.setUint16(at + 8, files.length, true);
  view.setUint16(at + 10, files.length, true);
  view.setUint32(at + 12, at - begin, true);
  view.setUint32(at + 16, begin, true);
  return archive;
}

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** The checksum of archives, CRC-32. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = crcTable[(crc ^ bytes[i]!) & 255]! ^ (crc >>> 8);
  return ~crc >>> 0;
}
