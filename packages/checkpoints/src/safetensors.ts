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

/**
 * Reads a safetensors file. Nothing is copied and nothing of the file is executed; whatever deviates from the format is refused: overlong
 * or unparsable headers, duplicate names, unknown types, offsets that overlap, leave holes or reach beyond the file.
 *
 * @throws CheckpointError with the reason and the byte
 * @see the format's description at huggingface.co/docs/safetensors
 */
export function readSafetensors(bytes: Uint8Array): TensorFile {
  if (bytes.byteLength < 8) throw new CheckpointError(`file has ${bytes.byteLength} bytes, expected 8 or more`, 0);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getBigUint64(0, true);
  if (length > BigInt(Math.min(MAX_HEADER, bytes.byteLength - 8))) {
    throw new CheckpointError(
      `header is said to have ${length} bytes, the file has ${bytes.byteLength - 8} after this`,
      0,
    );
  }
  const body = 8 + Number(length);
  const { __metadata__: metadata = {}, ...entries } = parseHeader(bytes.subarray(8, body));
  if (!isRecord(metadata) || Object.values(metadata).some((value) => typeof value !== 'string')) {
    throw new CheckpointError('__metadata__ is not a map of strings', 8);
  }

  const tensors: Record<string, FileTensor> = Object.create(null);
  const spans: [begin: number, end: number, name: string][] = [];
  for (const [name, entry] of Object.entries(entries)) {
    const { dtype, shape, begin, end } = checkEntry(name, entry);
    if (body + end > bytes.byteLength) {
      throw new CheckpointError(
        `tensor ${quote(name)} ends at ${end} of ${bytes.byteLength - body} bytes`,
        body + begin,
      );
    }
    spans.push([begin, end, name]);
    tensors[name] = { dtype, shape, data: bytes.subarray(body + begin, body + end) };
  }

  let at = 0;
  for (const [begin, end, name] of spans.sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    if (begin !== at) {
      throw new CheckpointError(`tensor ${quote(name)} begins at ${begin}, expected ${at}`, body + Math.min(begin, at));
    }
    at = end;
  }
  if (body + at !== bytes.byteLength) {
    throw new CheckpointError(`${bytes.byteLength - body - at} bytes follow the last tensor`, body + at);
  }
  return { tensors, metadata: metadata as Record<string, string> };
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
  const size = shape.reduce((product, extent) => product * extent, 1) * bytesOf[dtype as DType];
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
    const { dtype, shape, data } = tensors[name]!;
    const size = shape.reduce((product, extent) => product * extent, 1) * bytesOf[dtype];
    if (name === '__metadata__')
      throw new Error('writeSafetensors: a tensor is named __metadata__, which the format keeps for itself');
    if (data.byteLength !== size) {
      throw new Error(
        `writeSafetensors: ${name} has ${data.byteLength} bytes, expected ${size} for ${dtype} [${shape}]`,
      );
    }
    header[name] = { dtype, shape, data_offsets: [at, at + size] };
    at += size;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const padded = Math.ceil(text.byteLength / 8) * 8;
  const file = new Uint8Array(8 + padded + at).fill(0x20, 8, 8 + padded);
  new DataView(file.buffer).setBigUint64(0, BigInt(padded), true);
  file.set(text, 8);
  let offset = 8 + padded;
  for (const name of names) {
    const { data } = tensors[name]!;
    file.set(data, offset);
    offset += data.byteLength;
  }
  return file;
}
