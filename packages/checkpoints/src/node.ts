import { randomBytes } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CheckpointError } from './error';
import { readSafetensors, type TensorFile } from './safetensors';

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
    throw new CheckpointError(
      `${path} is not a safetensors file: ${error.message.replace(/ \(at byte \d+\)$/, '')}`,
      error.offset,
    );
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
