import { DatasetError } from './error';

/** A file of a tar archive, between two bytes of it. */
export interface TarEntry {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}

/** Longer names no file system has. */
const maxNameBytes = 65_536;

/**
 * The files of a tar archive (ustar, with GNU's and POSIX's long names), in order. Only headers are read; folders and links are left out.
 *
 * @param shown What messages call the archive.
 * @param read Bytes of the archive from an offset on.
 * @param begin, end The archive's first byte, and the one after its last, where it lies inside another.
 * @throws DatasetError when a header is damaged, or a file reaches beyond the end.
 */
export function* readTar(
  shown: string,
  read: (offset: number, length: number) => Uint8Array,
  begin: number,
  end: number,
): Generator<TarEntry> {
  let longName: string | undefined;
  for (let at = begin; at + 512 <= end; ) {
    const header = read(at, 512);
    // Two empty blocks end it; what follows is padding.
    if (header.every((byte) => byte === 0)) return;
    const fail = (reason: string): never => {
      throw new DatasetError(`${shown}: ${reason} at byte ${at}`);
    };
    // The checksum counts its own field as blanks.
    const sum = header.reduce((total, byte, i) => total + (i >= 148 && i < 156 ? 32 : byte), 0);
    if (octal(header, 148, 8) !== sum) fail('no header of a tar archive');
    const size = sizeOf(header);
    const offset = at + 512;
    if (!(Number.isSafeInteger(size) && size >= 0 && offset + size <= end))
      fail(`a file of ${size} bytes reaches beyond the end`);
    const type = String.fromCharCode(header[156]!);
    if (type === 'L' || type === 'x') {
      if (size > maxNameBytes) fail(`a name of ${size} bytes`);
      const bytes = read(offset, size);
      longName = type === 'L' ? text(bytes, 0, size) : (posixPath(text(bytes, 0, size)) ?? longName);
    } else {
      const prefix = text(header, 345, 155);
      const isUstar = text(header, 257, 5) === 'ustar' && header[262] === 0;
      const short = text(header, 0, 100);
      const name = longName ?? (isUstar && prefix !== '' ? `${prefix}/${short}` : short);
      longName = undefined;
      if (type === '0' || type === '\0') yield { name: name.replace(/^\.\//, ''), offset, size };
    }
    at = offset + Math.ceil(size / 512) * 512;
  }
}

/** Text up to the first zero. */
function text(bytes: Uint8Array, from: number, length: number): string {
  const field = bytes.subarray(from, from + length);
  const zero = field.indexOf(0);
  return new TextDecoder().decode(zero < 0 ? field : field.subarray(0, zero));
}

function octal(bytes: Uint8Array, from: number, length: number): number {
  const digits = text(bytes, from, length).trim();
  return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number.NaN;
}

/** In octal, or in binary where the first bit is set: GNU's way for 8 GiB and more. */
function sizeOf(header: Uint8Array): number {
  if ((header[124]! & 0x80) === 0) return octal(header, 124, 12);
  return header.subarray(125, 136).reduce((size, byte) => size * 256 + byte, header[124]! & 0x7f);
}

/** `path` of POSIX's records, each "length key=value\n". */
const posixPath = (records: string) => /(?:^|\n)\d+ path=([^\n]*)\n/.exec(records)?.[1];
