import { constants } from 'node:buffer';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type ImageDataset, type StoredImages, subset } from '@cm/datasets';
import { loadCifar10, loadImages, openEdmDataset } from '@cm/datasets/node';
import { type ReferenceSet, referenceSet } from '@cm/stable-target';
import type { Network } from './network';

/** Images to train on. */
export interface TrainingData {
  /** In memory where they are few or all are needed at once, else read from disk ahead of use. */
  readonly images: ImageDataset | StoredImages;
  /** What tells one data set from another. */
  readonly facts: { readonly shape: readonly number[]; readonly classes: number; readonly sha256: string };
  close(): Promise<void>;
}

/** Bytes up to which images are held in memory, and float32 references on the backend. */
const KEEP = 2 ** 30;

/** Images that tell data sets of one shape and the same labels apart. */
const TELLING = 16;

/**
 * Opens a data set: CIFAR-10 as a folder or archive that it is published in, or EDM's and EDM2's zips and folders.
 *
 * @param whole Whether all images are needed in memory.
 * @throws DatasetError when it is none; Error when it is to be in memory and cannot
 */
export async function openData(
  path: string,
  { whole, onProgress }: { whole: boolean; onProgress?: (done: number, total: number) => void },
): Promise<TrainingData> {
  if (isCifar10(path)) {
    const images = await loadCifar10(path);
    return { images, facts: factsOf(images, subset(images, firstOf(images)).images), close: async () => {} };
  }
  const stored = await openEdmDataset(path);
  try {
    const facts = factsOf(stored, await stored.read(firstOf(stored)));
    const bytes = stored.shape.reduce((product, extent) => product * extent, 1);
    if (!whole && bytes > KEEP) return { images: stored, facts, close: () => stored.close() };
    if (bytes > constants.MAX_LENGTH) {
      const gibibytes = (size: number) => (size / 2 ** 30).toFixed(1);
      throw new Error(
        `${path}: all images are needed as references, ${gibibytes(bytes)} GiB, and this Node.js has arrays of at most ` +
          `${gibibytes(constants.MAX_LENGTH)}: a newer one has larger, or set estimator.references to batch-of-class`,
      );
    }
    const images = await loadImages(stored, onProgress);
    await stored.close();
    return { images, facts, close: async () => {} };
  } catch (error) {
    await stored.close();
    throw error;
  }
}

/** A folder with a batch of CIFAR-10, or a compressed archive. */
function isCifar10(path: string): boolean {
  const names = ['', '.bin', '.png'].flatMap((end) => [`data_batch_1${end}`, `data_batch_1${end}.gz`]);
  return /\.(tar\.gz|tgz)$/i.test(path) || names.some((name) => existsSync(join(path, name)));
}

const firstOf = ({ shape }: Pick<ImageDataset, 'shape'>) =>
  Array.from({ length: Math.min(TELLING, shape[0]) }, (_, i) => i);

function factsOf({ shape, labels }: Omit<ImageDataset, 'images'>, first: Uint8Array): TrainingData['facts'] {
  const hash = createHash('sha256').update(first);
  if (labels) hash.update(labels);
  const classes = labels ? labels.reduce((most, label) => Math.max(most, label), 0) + 1 : 0;
  return { shape, classes, sha256: hash.digest('hex') };
}

/** @throws Error when a network cannot be trained on these images */
export function checkData(path: string, { facts }: TrainingData, { imageShape, classes }: Network): void {
  const [, ...image] = facts.shape;
  if (image.join() !== imageShape.join()) {
    throw new Error(`${path}: images are [${image}], expected [${imageShape}] for the network`);
  }
  if (classes > 0 && facts.classes === 0) {
    throw new Error(`${path}: has no labels, expected them for a network with ${classes} classes`);
  }
  if (classes > 0 && facts.classes > classes) {
    throw new Error(`${path}: has a label ${facts.classes - 1}, expected below ${classes}, the network's classes`);
  }
}

/**
 * All images as references. They stay on the backend in float32 where that is asked for or they are few; else every step converts what it needs.
 */
export function referencesOf({ images }: TrainingData, keep: boolean): ReferenceSet {
  const { images: bytes, shape, labels } = images as ImageDataset;
  const kept = keep || 4 * bytes.length <= KEEP;
  return referenceSet({
    images: bytes,
    shape,
    ...(labels && { labels }),
    cacheBytes: kept ? Number.POSITIVE_INFINITY : 0,
  });
}
