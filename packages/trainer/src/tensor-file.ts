import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import * as tf from '@tensorflow/tfjs-core';
import { TrainingError } from './error';

// States are several times as large as networks. So that they need no memory beside the tensors, and no array of more than 4 GiB, they are
// written and read tensor by tensor, where `@cm/checkpoints` takes a file as a whole.

/** The file's last tensor: checksums (CRC-32) of the header's text and of every tensor's bytes, in the order of the file. */
const CHECKSUMS = 'checksums';

/** A file that is not as it was written. */
export class DamagedFileError extends Error {
  override readonly name = 'DamagedFileError';
}

interface Entry {
  readonly dtype: string;
  readonly shape: number[];
  readonly data_offsets: readonly [begin: number, end: number];
}

type FileHandle = Awaited<ReturnType<typeof open>>;

/**
 * Writes float32 tensors as a safetensors file such that at any moment, a crash included, the path has the old content or the whole new one:
 * aside, flushed to disk, then renamed. What was begun is removed when it fails.
 *
 * @throws TrainingError `diverged` when a value is not finite; the file system's error
 */
export async function writeTensorFile(
  path: string,
  tensors: tf.NamedTensorMap,
  metadata: Readonly<Record<string, string>>,
): Promise<void> {
  const names = Object.keys(tensors).sort();
  const header: Record<string, unknown> = { __metadata__: metadata };
  let at = 0;
  const add = (name: string, dtype: string, shape: number[]) => {
    const bytes = 4 * shape.reduce((product, extent) => product * extent, 1);
    header[name] = { dtype, shape, data_offsets: [at, at + bytes] };
    at += bytes;
  };
  for (const name of names) add(name, 'F32', tensors[name]!.shape);
  add(CHECKSUMS, 'U32', [names.length + 1]);
  const json = Buffer.from(JSON.stringify(header));
  const text = Buffer.alloc(Math.ceil(json.length / 8) * 8, ' ');
  json.copy(text);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));

  const aside = `${path}.tmp`;
  try {
    const file = await open(aside, 'w');
    try {
      await file.writeFile(length);
      await file.writeFile(text);
      const checksums = new Uint32Array(names.length + 1);
      checksums[0] = crc32(text);
      for (const [i, name] of names.entries()) {
        const values = (await tensors[name]!.data()) as Float32Array;
        checkFinite(name, values);
        const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
        checksums[i + 1] = crc32(bytes);
        await file.writeFile(bytes);
      }
      await file.writeFile(new Uint8Array(checksums.buffer));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(aside, path);
  } catch (error) {
    await rm(aside, { force: true });
    throw error;
  }
  if (process.platform === 'win32') return;
  // Makes the rename itself durable.
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function checkFinite(name: string, values: Float32Array): void {
  for (const value of values) {
    if (!Number.isFinite(value)) throw new TrainingError('diverged', `${name} has the value ${value}`);
  }
}

/**
 * Reads what {@link writeTensorFile} wrote. The caller frees the tensors.
 *
 * @throws DamagedFileError when the file is cut short or any byte of it is another; the file system's error
 */
export async function readTensorFile(
  path: string,
): Promise<{ tensors: tf.NamedTensorMap; metadata: Record<string, string> }> {
  const file = await open(path, 'r');
  const tensors: tf.NamedTensorMap = {};
  try {
    const { size } = await file.stat();
    const damaged = (reason: string) => new DamagedFileError(`${path} is damaged: ${reason}`);
    const read = async (at: number, length: number) => {
      if (at + length > size) throw damaged(`it ends at byte ${size}`);
      return readBytes(file, at, length);
    };
    const textLength = Number((await read(0, 8)).readBigUInt64LE());
    const text = await read(8, textLength);
    let header: Record<string, Entry>;
    try {
      header = JSON.parse(text.toString());
    } catch {
      throw damaged('its header is not readable');
    }
    const { __metadata__: metadata, [CHECKSUMS]: last, ...entries } = header;
    const body = 8 + textLength;
    const [from, to] = last?.data_offsets ?? [];
    if (from === undefined || body + to! !== size) throw damaged(`it has ${size} bytes, its header says otherwise`);
    const stored = await read(body + from, to! - from);
    const check = (i: number, what: string, bytes: Buffer) => {
      if (stored.readUInt32LE(4 * i) !== crc32(bytes)) throw damaged(`${what} is not as it was written`);
    };
    // From here on the header is known to be the one that was written.
    check(0, 'its header', text);
    for (const [i, [name, { shape, data_offsets }]] of Object.entries(entries).entries()) {
      const bytes = await read(body + data_offsets[0], data_offsets[1] - data_offsets[0]);
      check(i + 1, name, bytes);
      tensors[name] = tf.tensor(new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4), shape, 'float32');
    }
    return { tensors, metadata: metadata as unknown as Record<string, string> };
  } catch (error) {
    tf.dispose(tensors);
    throw error;
  } finally {
    await file.close();
  }
}

/** The system reads less than 2 GiB at once. */
const CHUNK = 2 ** 30;

async function readBytes(file: FileHandle, at: number, length: number): Promise<Buffer> {
  // Not from Node's pool, whose pieces do not begin at multiples of four bytes.
  const bytes = Buffer.from(new ArrayBuffer(length));
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, Math.min(CHUNK, length - done), at + done);
    if (bytesRead === 0) throw new DamagedFileError('the file became shorter while it was read');
    done += bytesRead;
  }
  return bytes;
}
