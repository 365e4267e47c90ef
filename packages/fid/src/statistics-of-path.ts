import { readFile, stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { readNpy } from '@cm/checkpoints';
import { openZip } from '@cm/datasets/node';
import { readStatistics, type StatisticsKind, type StoredStatistics, statisticsOf } from './statistics-file';

/** Arrays of a `.npz` that {@link readStatisticsFile} reads; ADM's reference batches have 50,000 images beside them. */
const names = ['mu', 'sigma', 'mu_s', 'sigma_s', 'count'];

/**
 * The statistics of a file on disk, as `readStatistics` takes them; undefined for folders, for files other than `.npz`, `.pkl` and
 * `.pt`, and for a `.npz` without `mu`. Images in the file are not read.
 *
 * @throws Error, the path in its message, as `readStatistics`; the file system's error.
 */
export async function readStatisticsFile(
  path: string,
  kind: StatisticsKind = 'fid',
): Promise<StoredStatistics | undefined> {
  const extension = extname(path).toLowerCase();
  if (!['.npz', '.pkl', '.pt'].includes(extension) || !(await stat(path)).isFile()) return undefined;
  try {
    if (extension !== '.npz') return readStatistics(new Uint8Array(await readFile(path)), kind);
    const arrays = readArrays(path);
    return arrays.mu ? statisticsOf(arrays, kind) : undefined;
  } catch (error) {
    const reason = (error as Error).message;
    throw new Error(reason.startsWith(path) ? reason : `${path}: ${reason}`, { cause: error });
  }
}

function readArrays(path: string) {
  const archive = openZip(path, { maxEntryBytes: Number.POSITIVE_INFINITY });
  try {
    const wanted = [...archive.entries.keys()].filter((name) => names.includes(name.replace(/\.npy$/, '')));
    return Object.fromEntries(wanted.map((name) => [name.slice(0, -4), readNpy(archive.read(name))]));
  } finally {
    archive.close();
  }
}
