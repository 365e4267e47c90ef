import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readNpy, toFloat32, writeNpy } from '@cm/checkpoints';
import { writeFileAtomically } from '@cm/checkpoints/node';
import { computeFeatures, type FeatureExtractor } from './extract';
import { type ImageEntry, type ImageSource, imageBatches } from './image-source';
import type { FeatureMatrix } from './statistics';

/** How {@link featureChunks} works. */
export interface FeatureChunkOptions {
  /** Images in one pass of the network. Default 32. */
  readonly batch?: number;
  /**
   * Keeps features in a folder. `key` names whatever they depend on beside the images: network, weights, features, resizing. Each chunk is
   * a file named by the SHA-256 of key and images, so that a run that was stopped goes on where it was, and images that change are done anew.
   */
  readonly cache?: { readonly folder: string; readonly key: string };
  /** Told after each chunk. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** Images of a chunk: those of one file of the cache. */
const CHUNK = 256;

/**
 * The features of images, chunk by chunk in order, computed or from the cache.
 *
 * @throws Error naming an image that is damaged; RangeError as `computeFeatures`.
 */
export async function* featureChunks(
  source: ImageSource,
  extract: FeatureExtractor,
  { batch = 32, cache, onProgress }: FeatureChunkOptions = {},
): AsyncGenerator<FeatureMatrix> {
  let done = 0;
  for await (const entries of chunksOf(source.entries())) {
    // Files are of whole levels already.
    const compute = () => computeFeatures(extract, imageBatches(entries, batch), { quantize: false });
    yield cache ? await cached(cache, entries, compute) : await compute();
    done += entries.length;
    onProgress?.(done, source.count);
  }
}

async function* chunksOf(entries: AsyncIterable<ImageEntry>): AsyncGenerator<ImageEntry[]> {
  let chunk: ImageEntry[] = [];
  for await (const entry of entries) {
    chunk.push(entry);
    if (chunk.length === CHUNK) {
      yield chunk;
      chunk = [];
    }
  }
  if (chunk.length > 0) yield chunk;
}

async function cached(
  { folder, key }: { readonly folder: string; readonly key: string },
  entries: readonly ImageEntry[],
  compute: () => Promise<FeatureMatrix>,
): Promise<FeatureMatrix> {
  const hash = createHash('sha256').update(`${key}\0`);
  for (const { bytes } of entries) hash.update(`${bytes.length}\0`).update(bytes);
  const path = join(folder, `${hash.digest('hex')}.npy`);
  const found = await readFile(path).catch(() => undefined);
  if (found) {
    const { data, dtype, shape } = readNpy(new Uint8Array(found));
    return { shape: [shape[0]!, shape[1]!], values: toFloat32(data, dtype) };
  }
  const features = await compute();
  const values = Float32Array.from(features.values);
  await mkdir(folder, { recursive: true });
  await writeFileAtomically(
    path,
    writeNpy({ dtype: 'F32', shape: features.shape, data: new Uint8Array(values.buffer) }),
  );
  return features;
}
