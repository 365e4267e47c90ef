import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { type FileHandle, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CheckpointError } from './error';
import { type Checkpoint, HEAD, type OpenOptions, openCheckpoint as openBytes, openSource, opensInParts } from './open';
import { readSafetensors, type TensorFile } from './safetensors';

/** Bytes that are read at once: the system reads less than 2 GiB. */
const CHUNK = 2 ** 30;

/**
 * Opens a checkpoint of any format from disk. Of safetensors, PyTorch's zip archives and `.npz` only what describes the tensors is read; a tensor's
 * bytes are read when they are asked for, and the file has to stay as it is until then. Files of the other formats are read into memory once; tensors
 * are views into them wherever they can be.
 *
 * @throws CheckpointError, the path in its message, when the file is in none of the formats or is damaged, and from a tensor's `data` when it is
 *   another file by then; the file system's error when it cannot be read
 * @see the function of the same name of `@cm/checkpoints`, which takes the bytes
 */
export async function openCheckpoint(path: string, options: OpenOptions = {}): Promise<Checkpoint> {
  const file = await open(path, 'r');
  try {
    const { size, mtimeMs, ino } = await file.stat();
    const head = await readRange(file, 0, Math.min(HEAD, size));
    if (!opensInParts(head)) return openBytes(await readRange(file, 0, size), options);
    const read = (begin: number, end: number) => readSpanSync(path, begin, end, { size, mtimeMs, ino });
    return openSource({ size, read }, options);
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    throw new CheckpointError(`${path}: ${error.reason}`, error.offset);
  } finally {
    await file.close();
  }
}

async function readRange(file: FileHandle, begin: number, end: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(end - begin);
  let at = 0;
  while (at < bytes.length) {
    const { bytesRead } = await file.read(bytes, at, Math.min(CHUNK, bytes.length - at), begin + at);
    if (bytesRead === 0) throw new CheckpointError('became shorter while it was read', begin + at);
    at += bytesRead;
  }
  return bytes;
}

/** Reads a part of a file that has to be the one that was opened. No handle stays open, so that none has to be closed. */
function readSpanSync(
  path: string,
  begin: number,
  end: number,
  opened: { size: number; mtimeMs: number; ino: number },
): Uint8Array {
  const file = openSync(path, 'r');
  try {
    const now = fstatSync(file);
    if (now.size !== opened.size || now.mtimeMs !== opened.mtimeMs || now.ino !== opened.ino) {
      throw new CheckpointError(`${path}: is another file than when it was opened`, begin);
    }
    // What is not overwritten is not handed out.
    const bytes = new Uint8Array(Buffer.allocUnsafeSlow(end - begin).buffer);
    let at = 0;
    while (at < bytes.length) {
      const count = readSync(file, bytes, at, Math.min(CHUNK, bytes.length - at), begin + at);
      if (count === 0) throw new CheckpointError(`${path}: became shorter while it was read`, begin + at);
      at += count;
    }
    return bytes;
  } finally {
    closeSync(file);
  }
}

/**
 * Reads a safetensors file from disk.
 *
 * @throws CheckpointError, the path in its message, when the file is not what it should be; the file system's error when it
 *   cannot be read
 */
export async function readSafetensorsFile(path: string): Promise<TensorFile> {
  const bytes = await readFile(path);
  try {
    return readSafetensors(bytes);
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    throw new CheckpointError(`${path} is not a safetensors file: ${error.reason}`, error.offset);
  }
}

/**
 * Writes a file such that at any moment, a crash included, a reader finds the old content or the whole new one: aside in the same
 * folder, flushed to disk, then renamed. What was begun is removed when it fails.
 */
export async function writeFileAtomically(path: string, bytes: Uint8Array): Promise<void> {
  const aside = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    const file = await open(aside, 'wx');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(aside, path);
  } catch (error) {
    await rm(aside, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Makes a rename durable, where the system lets a folder be flushed. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
