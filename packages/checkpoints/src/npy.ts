import { bytesOf, type DType } from './dtypes';
import { CheckpointError, quote } from './error';
import type { FileTensor } from './safetensors';
import { sourceOf } from './source';
import { isSizes, rowMajor, type Storage, sizeOf, stridedTensor } from './strided';
import type { CheckpointTensor } from './values';
import { readZip, writeZip, type ZipEntry } from './zip';

const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];

/** NumPy's names of types, without the order of bytes. */
const dtypes: Readonly<Record<string, DType>> = {
  f8: 'F64',
  f4: 'F32',
  f2: 'F16',
  i8: 'I64',
  i4: 'I32',
  i2: 'I16',
  i1: 'I8',
  u8: 'U64',
  u4: 'U32',
  u2: 'U16',
  u1: 'U8',
  b1: 'BOOL',
};

/** The type that NumPy describes as `<f8` and the like: an order of bytes, a letter and a width. */
export function elementTypeOf(description: string, fail: (reason: string) => never): { dtype: DType; width: number } {
  const name = description.slice(1);
  const dtype = /^[<>|]/.test(description) && Object.hasOwn(dtypes, name) ? dtypes[name] : undefined;
  if (!dtype) return fail(`NumPy type ${quote(description)} is not one of numbers that are read`);
  const width = bytesOf[dtype];
  if (description[0] === '|' && width > 1) fail(`NumPy type ${quote(description)} has no order of bytes`);
  return { dtype, width };
}

/** Values in little-endian order: the same bytes where they are, else a copy. */
export function byteOrdered(bytes: Uint8Array, order: string, width: number): Uint8Array {
  if (order !== '>' || width === 1) return bytes;
  const swapped = new Uint8Array(bytes);
  for (let i = 0; i < swapped.length; i += width) swapped.subarray(i, i + width).reverse();
  return swapped;
}

/** Whether a file begins as `.npy` files do. */
export const isNpy = (bytes: Uint8Array) => magic.every((byte, i) => bytes[i] === byte);

/**
 * Reads a `.npy` file of numbers: either order of bytes, row- or column-major. Pickled objects, structured types and text are refused.
 *
 * @throws CheckpointError with the reason and the byte
 * @see the format's description in numpy.lib.format
 */
export function readNpy(bytes: Uint8Array): CheckpointTensor {
  return arrayOf(
    (count) => bytes.subarray(0, count),
    bytes.length,
    (begin, end) => bytes.subarray(begin, end),
    0,
  );
}

/**
 * An array of a `.npy` file of which the beginning is known at once and the rest is read when it is asked for.
 *
 * @param head The first bytes of the file, up to the number given.
 * @param offset Byte of the whole file at which this one begins.
 */
function arrayOf(
  head: (count: number) => Uint8Array,
  size: number,
  read: (begin: number, end: number) => Uint8Array,
  offset: number,
): CheckpointTensor {
  const fail = (reason: string): never => {
    throw new CheckpointError(reason, offset);
  };
  const prefix = head(12);
  if (!isNpy(prefix) || prefix.length < 10) return fail('array does not begin as .npy files do');
  const version = prefix[6]!;
  if (version < 1 || version > 3) fail(`.npy file is of version ${version}, expected 1 to 3`);
  const start = version === 1 ? 10 : 12;
  const length = prefix[8]! | (prefix[9]! << 8);
  if (version > 1 && (prefix[10] || prefix[11])) fail('.npy header is longer than 65,535 bytes');
  const header = head(start + length).subarray(start);
  if (header.length !== length) fail(`.npy header is said to have ${length} bytes, the file has ${header.length}`);
  const { description, fortranOrder, shape } = parseHeader(new TextDecoder('latin1').decode(header), fail);
  const { dtype, width } = elementTypeOf(description, fail);
  const bytes = sizeOf(shape) * width;
  if (size - start - length !== bytes) {
    fail(`array has ${size - start - length} bytes, expected ${bytes} for ${description} [${shape}]`);
  }
  const strides = fortranOrder ? rowMajor([...shape].reverse()).reverse() : rowMajor(shape);
  const data = start + length;
  const storage: Storage = {
    dtype,
    length: sizeOf(shape),
    read: (begin, end) => byteOrdered(read(data + begin, data + end), description[0]!, width),
  };
  return stridedTensor(storage, 0, shape, strides, fail);
}

/** Parses the header's Python dictionary: three keys, in any order, of text, a truth value and a tuple of whole numbers. */
function parseHeader(text: string, fail: (reason: string) => never) {
  const description = /'descr': ?'([^']{1,16})'/.exec(text)?.[1];
  const order = /'fortran_order': ?(True|False)\b/.exec(text)?.[1];
  const extents = /'shape': ?\(([\dL, ]{0,1024})\)/.exec(text)?.[1];
  if (!/^\{.*\} *\n?$/s.test(text) || description === undefined || order === undefined || extents === undefined) {
    return fail(`.npy header ${quote(text)} does not have a plain type, an order and a shape`);
  }
  const parts = extents.split(',').map((part) => part.trim());
  // A tuple of one ends with a comma, Python 2's long integers with an L.
  if (parts[parts.length - 1] === '') parts.pop();
  const shape = parts.map((part) => (/^\d{1,16}L?$/.test(part) ? Number.parseInt(part, 10) : Number.NaN));
  if (!isSizes(shape)) return fail(`array has shape (${extents})`);
  return { description, fortranOrder: order === 'True', shape };
}

/**
 * The bytes of a `.npy` file (version 1), which `numpy.load` reads.
 *
 * @throws Error when the type is BF16, which NumPy has not, or the bytes do not fit the shape
 */
export function writeNpy({ dtype, shape, data }: FileTensor): Uint8Array {
  const name = Object.keys(dtypes).find((key) => dtypes[key] === dtype);
  if (!name) throw new Error(`writeNpy: NumPy has no type for ${dtype}`);
  if (data.byteLength !== sizeOf(shape) * bytesOf[dtype]) {
    throw new Error(
      `writeNpy: tensor has ${data.byteLength} bytes, expected ${sizeOf(shape) * bytesOf[dtype]} for ${dtype} [${shape}]`,
    );
  }
  const description = `${bytesOf[dtype] > 1 ? '<' : '|'}${name}`;
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const text = `{'descr': '${description}', 'fortran_order': False, 'shape': ${tuple}, }`;
  // Data begin at a multiple of 64 bytes.
  const length = Math.ceil((10 + text.length + 1) / 64) * 64 - 10;
  const file = new Uint8Array(10 + length + data.byteLength);
  file.set([...magic, 1, 0, length & 255, length >> 8]);
  file.set(new TextEncoder().encode(`${text.padEnd(length - 1)}\n`), 10);
  file.set(data, 10 + length);
  return file;
}

/** Arrays of a `.npz` archive, lazily: of a compressed one, the header is read at once and the rest when it is asked for. */
export function npzArrays(entries: ReadonlyMap<string, ZipEntry>): Record<string, CheckpointTensor> {
  const arrays: Record<string, CheckpointTensor> = Object.create(null);
  for (const [name, entry] of entries) {
    if (!name.endsWith('.npy'))
      throw new CheckpointError(`${quote(name)} of the archive is no .npy file`, entry.offset);
    arrays[name.slice(0, -4)] = arrayOf(
      (count) => entry.head(count),
      entry.size,
      (begin, end) => entry.read(begin, end),
      entry.offset,
    );
  }
  return arrays;
}

/**
 * Reads a `.npz` archive of `numpy.savez` or `numpy.savez_compressed`: the names and arrays.
 *
 * @throws CheckpointError with the reason and the byte
 */
export const readNpz = (bytes: Uint8Array): Readonly<Record<string, CheckpointTensor>> =>
  npzArrays(readZip(sourceOf(bytes)));

/**
 * The bytes of a `.npz` archive, uncompressed, which `numpy.load` reads. The same arrays in the same order give the same bytes.
 *
 * @throws Error as {@link writeNpy}; RangeError when the archive would be of 4 GiB or more
 *
 * @example
 * ```ts
 * import { openCheckpoint, writeNpz } from '@cm/checkpoints';
 *
 * const mu = { dtype: 'F64', shape: [2], data: new Uint8Array(Float64Array.of(1, 2).buffer) } as const;
 * console.log(openCheckpoint(writeNpz({ mu })).format); // npz
 * ```
 */
export const writeNpz = (arrays: Readonly<Record<string, FileTensor>>): Uint8Array =>
  writeZip(Object.entries(arrays).map(([name, array]) => [`${name}.npy`, writeNpy(array)]));
