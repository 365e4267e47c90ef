import { fstatSync } from 'node:fs';
import { readExactly } from './read';
import { crc32, defaultMaxEntryBytes } from './zip';

/** A stored file of an archive that is being written. */
export interface StoredEntry {
  readonly size: number;
  readonly crc: number;
  readonly offset: number;
}

/** The largest number of 32 bits, which stands for "see the 64-bit field". */
const WIDE = 0xffffffff;

/** 1 January 1980, the first that the format has: the same files make the same bytes. */
const DATE = 0x0021;

/** What comes before a stored file. Names are ASCII. */
export function localHeader(name: string, size: number, crc: number): Buffer {
  const header = Buffer.alloc(30 + name.length);
  header.writeUInt32LE(0x04034b50, 0);
  header.writeUInt16LE(20, 4);
  header.writeUInt16LE(DATE, 12);
  header.writeUInt32LE(crc, 14);
  header.writeUInt32LE(size, 18);
  header.writeUInt32LE(size, 22);
  header.writeUInt16LE(name.length, 26);
  header.write(name, 30, 'latin1');
  return header;
}

/** A file's record in the directory, with a Zip64 field where the file lies beyond 4 GiB. */
export function centralRecord(name: string, { size, crc, offset }: StoredEntry): Buffer {
  const wide = offset >= WIDE;
  const record = Buffer.alloc(46 + name.length + (wide ? 12 : 0));
  record.writeUInt32LE(0x02014b50, 0);
  // Written as on Unix, so that the permissions below are read.
  record.writeUInt16LE((3 << 8) | 45, 4);
  record.writeUInt16LE(wide ? 45 : 20, 6);
  record.writeUInt16LE(DATE, 14);
  record.writeUInt32LE(crc, 16);
  record.writeUInt32LE(size, 20);
  record.writeUInt32LE(size, 24);
  record.writeUInt16LE(name.length, 28);
  record.writeUInt16LE(wide ? 12 : 0, 30);
  record.writeUInt32LE((0o100644 << 16) >>> 0, 38);
  record.writeUInt32LE(wide ? WIDE : offset, 42);
  record.write(name, 46, 'latin1');
  if (wide) {
    const field = 46 + name.length;
    record.writeUInt16LE(1, field);
    record.writeUInt16LE(8, field + 2);
    record.writeBigUInt64LE(BigInt(offset), field + 4);
  }
  return record;
}

/** What ends an archive whose directory of `count` records takes `size` bytes from `begin` on, with Zip64 records where they are needed. */
export function endRecords(count: number, begin: number, size: number): Buffer {
  const wide = count >= 0xffff || begin >= WIDE || size >= WIDE;
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(Math.min(count, 0xffff), 8);
  end.writeUInt16LE(Math.min(count, 0xffff), 10);
  end.writeUInt32LE(Math.min(size, WIDE), 12);
  end.writeUInt32LE(Math.min(begin, WIDE), 16);
  if (!wide) return end;
  const record = Buffer.alloc(56);
  record.writeUInt32LE(0x06064b50, 0);
  record.writeBigUInt64LE(44n, 4);
  record.writeUInt16LE((3 << 8) | 45, 12);
  record.writeUInt16LE(45, 14);
  record.writeBigUInt64LE(BigInt(count), 24);
  record.writeBigUInt64LE(BigInt(count), 32);
  record.writeBigUInt64LE(BigInt(size), 40);
  record.writeBigUInt64LE(BigInt(begin), 48);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(0x07064b50, 0);
  locator.writeBigUInt64LE(BigInt(begin + size), 8);
  locator.writeUInt32LE(1, 16);
  return Buffer.concat([record, locator, end]);
}

/** The stored files that a partial archive begins with, whole and undamaged, under the expected names. */
export function* wholeEntries(path: string, fd: number, nameOf: (index: number) => string): Generator<StoredEntry> {
  const { size: fileSize } = fstatSync(fd);
  for (let index = 0, at = 0; ; index++) {
    const name = nameOf(index);
    const start = at + 30 + name.length;
    if (start > fileSize) return;
    const header = readExactly(path, fd, at, 30 + name.length);
    const [crc, size] = [header.readUInt32LE(14), header.readUInt32LE(18)];
    if (size > defaultMaxEntryBytes || start + size > fileSize || !header.equals(localHeader(name, size, crc))) return;
    if (crc32(readExactly(path, fd, start, size)) !== crc) return;
    yield { size, crc, offset: at };
    at = start + size;
  }
}
