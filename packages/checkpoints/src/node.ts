import { randomBytes } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CheckpointError } from './error';
import { type Checkpoint, type OpenOptions, openCheckpoint as openBytes } from './open';
import { readSafetensors, type TensorFile } from './safetensors';

/** Bytes that are read at once: the system reads less than 2 GiB. */
const CHUNK = 2 ** 30;

/**
 * Opens a checkpoint of any format from disk. The file is read into memory once; tensors are views into it wherever they can be.
 *
 * @throws CheckpointError, the path in its message, when the file is in none of the formats or is damaged; the file system's error when
 *   it cannot be read
 * @see the function of the same name of `@cm/checkpoints`, which takes the bytes
 */
export async function openCheckpoint(path: string, options: OpenOptions = {}): Promise<Checkpoint> {
  const bytes = await readWhole(path);
  try {
    return openBytes(bytes, options);
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    throw new CheckpointError(`${path}: ${error.reason}`, error.offset);
  }
}

async function readWhole(path: string): Promise<Uint8Array> {
  const file = await open(path, 'r');
  try {
    const bytes = new Uint8Array((await file.stat()).size);
    let at = 0;
    while (at < bytes.length) {
      const { bytesRead } = await file.read(bytes, at, Math.min(CHUNK, bytes.length - at), at);
      if (bytesRead === 0) throw new CheckpointError(`${path} became shorter while it was read`, at);
      at += bytesRead;
    }
    return bytes;
  } finally {
    await file.close();
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
