import { bytesOf, type DType } from './dtypes';
import { CheckpointError, quote } from './error';

/** A tensor as a file has it: the bytes are a view into the file's, little-endian and row-major. */
export interface FileTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** What a safetensors file holds. */
export interface TensorFile {
  readonly tensors: Readonly<Record<string, FileTensor>>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Longest header that is read, the format's own bound. */
const MAX_HEADER = 100_000_000;

/** Where a tensor lies in a file: its bytes from `begin` to `end`. */
export interface TensorSpan {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/**
 * Where a safetensors file's header ends, from its first eight bytes and its size.
 *
 * @throws CheckpointError when the file cannot have such a header
 */
export function headerEnd(first: Uint8Array, size: number): number {
  if (size < 8) throw new CheckpointError(`file has ${size} bytes, expected 8 or more`, 0);
  const length = new DataView(first.buffer, first.byteOffset, first.byteLength).getBigUint64(0, true);
  if (length > BigInt(Math.min(MAX_HEADER, size - 8))) {
    throw new CheckpointError(`header is said to have ${length} bytes, the file has ${size - 8} after this`, 0);
  }
  return 8 + Number(length);
}

/**
 * What a safetensors file holds and where, from its beginning up to the end of the header, or more, and its size.
 *
 * @throws CheckpointError with the reason and the byte
 */
export function readSpans(
  bytes: Uint8Array,
  size: number,
): { spans: Record<string, TensorSpan>; metadata: Record<string, string> } {
  const body = headerEnd(bytes, size);
  const { __metadata__: metadata = {}, ...entries } = parseHeader(bytes.subarray(8, body));
  if (!isRecord(metadata) || Object.values(metadata).some((value) => typeof value !== 'string')) {
    throw new CheckpointError('__metadata__ is not a map of strings', 8);
  }

  const spans: Record<string, TensorSpan> = Object.create(null);
  const found: [begin: number, end: number, name: string][] = [];
  for (const [name, entry] of Object.entries(entries)) {
    const { dtype, shape, begin, end } = checkEntry(name, entry);
    if (body + end > size) {
      throw new CheckpointError(`tensor ${quote(name)} ends at ${end} of ${size - body} bytes`, body + begin);
    }
    found.push([begin, end, name]);
    spans[name] = { dtype, shape, begin: body + begin, end: body + end };
  }

  let at = 0;
  for (const [begin, end, name] of found.sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    if (begin !== at) {
      throw new CheckpointError(`tensor ${quote(name)} begins at ${begin}, expected ${at}`, body + Math.min(begin, at));
    }
    at = end;
  }
  if (body + at !== size) {
    throw new CheckpointError(`${size - body - at} bytes follow the last tensor`, body + at);
  }
  return { spans, metadata: metadata as Record<string, string> };
}

/**
 * Reads a safetensors file. Nothing is copied and nothing of the file is executed; whatever deviates from the format is refused: overlong
 * or unparsable headers, duplicate names, unknown types, offsets that overlap, leave holes or reach beyond the file.
 *
 * @throws CheckpointError with the reason and the byte
 * @see the format's description at huggingface.co/docs/safetensors
 */
export function readSafetensors(bytes: Uint8Array): TensorFile {
  const { spans, metadata } = readSpans(bytes, bytes.byteLength);
  const tensors: Record<string, FileTensor> = Object.create(null);
  for (const [name, { dtype, shape, begin, end }] of Object.entries(spans)) {
    tensors[name] = { dtype, shape, data: bytes.subarray(begin, end) };
  }
  return { tensors, metadata };
}

function parseHeader(bytes: Uint8Array): Record<string, unknown> {
  if (bytes[0] !== 0x7b) throw new CheckpointError('header does not begin with {', 8);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new CheckpointError('header is not UTF-8', 8);
  }
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (error) {
    throw new CheckpointError(`header is not JSON: ${(error as Error).message}`, 8);
  }
  if (!isRecord(header)) throw new CheckpointError('header is not a map', 8);
  const duplicate = firstDuplicate(text);
  if (duplicate !== undefined) throw new CheckpointError(`header has ${quote(duplicate)} twice`, 8);
  return header;
}

/** The first name that comes twice at the top level of JSON text that is known to parse. */
function firstDuplicate(text: string): string | undefined {
  const seen = new Set<string>();
  let depth = 0;
  let expectsName = false;
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (character === '"') {
      const start = i++;
      while (text[i] !== '"') i += text[i] === '\\' ? 2 : 1;
      if (depth === 1 && expectsName) {
        const name = JSON.parse(text.slice(start, i + 1)) as string;
        if (seen.has(name)) return name;
        seen.add(name);
        expectsName = false;
      }
    } else if (character === '{' || character === '[') {
      depth++;
      if (depth === 1) expectsName = true;
    } else if (character === '}' || character === ']') depth--;
    else if (character === ',' && depth === 1) expectsName = true;
  }
  return undefined;
}

function checkEntry(name: string, entry: unknown) {
  const fail = (reason: string): never => {
    throw new CheckpointError(`tensor ${quote(name)} ${reason}`, 8);
  };
  if (!isRecord(entry)) return fail('is not described by a map');
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== 'string' || !Object.hasOwn(bytesOf, dtype)) return fail(`has dtype ${quote(dtype)}`);
  if (!isSizes(shape)) return fail(`has shape ${quote(shape)}`);
  if (!isSizes(offsets) || offsets.length !== 2) return fail(`has data_offsets ${quote(offsets)}`);
  const [begin, end] = offsets as [number, number];
  // As float64, a product that overflows is too large for any file, and is never equal.
  const size = sizeOf({ dtype: dtype as DType, shape });
  if (end - begin !== size) return fail(`has ${end - begin} bytes, expected ${size} for ${dtype} [${shape}]`);
  return { dtype: dtype as DType, shape, begin, end };
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isSizes = (value: unknown): value is number[] =>
  Array.isArray(value) && value.length <= 64 && value.every((extent) => Number.isSafeInteger(extent) && extent >= 0);

/**
 * The bytes of a safetensors file. The same tensors and metadata give the same bytes: names are sorted, the header is padded
 * with spaces to a multiple of 8 bytes.
 *
 * @throws Error when a tensor's bytes do not fit its shape, or a name is `__metadata__`
 *
 * @example
 * ```ts
 * import { fromTensors, readSafetensors, writeSafetensors } from '@cm/checkpoints';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * const file = writeSafetensors(fromTensors({ weight: tf.tensor1d([1, 2]) }, { dtype: 'F16' }), { step: '300' });
 * const { tensors, metadata } = readSafetensors(file);
 * console.log(tensors.weight!.dtype, tensors.weight!.shape, metadata.step); // F16 [2] 300
 * ```
 */
export function writeSafetensors(
  tensors: Readonly<Record<string, FileTensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  // Large values first, as the format's own writer has it, so that all are aligned.
  const names = Object.keys(tensors).sort((a, b) => {
    const widths = bytesOf[tensors[b]!.dtype] - bytesOf[tensors[a]!.dtype];
    return widths || (a < b ? -1 : 1);
  });
  const header: Record<string, unknown> = Object.create(null);
  if (Object.keys(metadata).length > 0) header.__metadata__ = Object.fromEntries(Object.entries(metadata).sort());
  let at = 0;
  for (const name of names) {
    if (name === '__metadata__')
      throw new Error('writeSafetensors: a tensor is named __metadata__, which the format keeps for itself');
    const { dtype, shape } = tensors[name]!;
    const end = at + sizeOf(tensors[name]!);
    header[name] = { dtype, shape, data_offsets: [at, end] };
    at = end;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const padded = Math.ceil(text.byteLength / 8) * 8;
  const file = new Uint8Array(8 + padded + at).fill(0x20, 8, 8 + padded);
  new DataView(file.buffer).setBigUint64(0, BigInt(padded), true);
  file.set(text, 8);
  let offset = 8 + padded;
  for (const name of names) {
    // Once: what lies in a file is read when it is asked for.
    const { dtype, shape, data } = tensors[name]!;
    const size = sizeOf({ dtype, shape });
    if (data.byteLength !== size) {
      throw new Error(
        `writeSafetensors: ${name} has ${data.byteLength} bytes, expected ${size} for ${dtype} [${shape}]`,
      );
    }
    file.set(data, offset);
    offset += size;
  }
  return file;
}

const sizeOf = ({ dtype, shape }: Pick<FileTensor, 'dtype' | 'shape'>) =>
  shape.reduce((product, extent) => product * extent, 1) * bytesOf[dtype];
