import { openZip, type ZipArchive, type ZipEntry } from '@cm/datasets/node';
import type { ImageSource } from './image-source';

/** What the beginning of a `.npy` file says. */
interface NpyHeader {
  /** NumPy's description of the type: `|u1` are bytes. */
  readonly type: string;
  readonly shape: readonly number[];
  readonly isRowMajor: boolean;
  /** Bytes before the array's. */
  readonly length: number;
}

/**
 * Images of a `.npz` with an array of bytes of shape [images, height, width, 3], read one after another: neither the file nor the array is
 * ever in memory whole.
 *
 * @throws Error when it has none, naming what it has.
 */
export async function openArrayImages(path: string): Promise<ImageSource> {
  const { name, header } = await findImages(path);
  const [count, height, width] = header.shape as [number, number, number];
  return {
    count,
    async *entries() {
      const archive = openZip(path, anySize);
      try {
        let i = 0;
        for await (const rgb of sections(archive.pieces(`${name}.npy`), header.length, height * width * 3)) {
          yield { name: `${path}/${name}[${i++}]`, bytes: rgb, decode: async () => ({ height, width, rgb }) };
        }
      } finally {
        archive.close();
      }
    },
  };
}

/** Arrays are read in pieces: they may have any size. */
const anySize = { maxEntryBytes: Number.POSITIVE_INFINITY };

async function findImages(path: string): Promise<{ name: string; header: NpyHeader }> {
  const archive = openZip(path, anySize);
  try {
    const found: string[] = [];
    for (const entry of [...archive.entries.values()].filter((entry) => entry.name.endsWith('.npy'))) {
      const header = await readHeader(archive, entry);
      const name = entry.name.slice(0, -4);
      if (isImages(header)) {
        const bytes = header.shape.reduce((product, extent) => product * extent, 1);
        if (entry.size !== header.length + bytes) {
          throw new Error(`${path}/${name} has ${entry.size} bytes, expected those of [${header.shape}]`);
        }
        return { name, header };
      }
      found.push(`${name} ${header.type} [${header.shape}]`);
    }
    const list = found.join(', ') || 'no arrays';
    throw new Error(`${path} has ${list}, expected one of bytes (|u1), [images, height, width, 3]`);
  } finally {
    archive.close();
  }
}

const isImages = ({ type, shape, isRowMajor }: NpyHeader) =>
  type === '|u1' && isRowMajor && shape.length === 4 && shape[3] === 3;

async function readHeader(archive: ZipArchive, entry: ZipEntry): Promise<NpyHeader> {
  let begin = Buffer.alloc(0);
  for await (const piece of archive.pieces(entry.name)) {
    begin = Buffer.concat([begin, piece]);
    if (begin.length < 12) continue;
    // Version 1 has 16 bits for the header's length, later ones 32.
    const [at, size] = begin[6] === 1 ? [10, begin.readUInt16LE(8)] : [12, begin.readUInt32LE(8)];
    if (begin.toString('latin1', 0, 6) !== '\x93NUMPY' || size > 2 ** 16) break;
    if (begin.length < at + size) continue;
    const text = begin.toString('latin1', at, at + size);
    return {
      type: /'descr': *'([^']*)'/.exec(text)?.[1] ?? 'of an unknown type',
      shape: (/'shape': *\(([^)]*)\)/.exec(text)?.[1]?.match(/\d+/g) ?? []).map(Number),
      isRowMajor: /'fortran_order': *False/.test(text),
      length: at + size,
    };
  }
  throw new Error(`${archive.path}/${entry.name} is no .npy file`);
}

/** Bytes after the first `skip`, cut into sections of `size`. */
async function* sections(pieces: AsyncIterable<Uint8Array>, skip: number, size: number): AsyncGenerator<Uint8Array> {
  let section = new Uint8Array(size);
  // Negative until what is skipped has passed.
  let filled = -skip;
  for await (const piece of pieces) {
    let at = Math.min(piece.length, Math.max(0, -filled));
    filled += at;
    while (at < piece.length) {
      const taken = piece.subarray(at, at + size - filled);
      section.set(taken, filled);
      at += taken.length;
      filled += taken.length;
      if (filled === size) {
        yield section;
        section = new Uint8Array(size);
        filled = 0;
      }
    }
  }
}
