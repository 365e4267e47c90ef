import { constants } from 'node:buffer';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type ImageDataset, type StoredImages, subset } from '@cm/datasets';
import { loadCifar10, loadImages, openEdmDataset } from '@cm/datasets/node';
import { type KeptAs, type ReferenceSet, referenceSet } from '@cm/stable-target';
import type { Network } from './network';

/** Images to train on. */
export interface TrainingData {
  /** In memory, or read from disk ahead of use. */
  readonly images: ImageDataset | StoredImages;
  /** What tells one data set from another. */
  readonly facts: { readonly shape: readonly number[]; readonly classes: number; readonly sha256: string };
  close(): Promise<void>;
}

/** Bytes up to which images are held in memory, and references on the backend in float32. */
const KEEP = 2 ** 30;

/** Images that tell data sets of one shape and the same labels apart. */
const TELLING = 16;

/**
 * Opens a data set: CIFAR-10 as a folder or archive that it is published in, or EDM's and EDM2's zips and folders, of which the first images are read.
 *
 * @throws DatasetError when it is none
 */
export async function openData(path: string): Promise<TrainingData> {
  if (isCifar10(path)) {
    const images = await loadCifar10(path);
    return { images, facts: factsOf(images, subset(images, firstOf(images)).images), close: async () => {} };
  }
  const stored = await openEdmDataset(path);
  try {
    const facts = factsOf(stored, await stored.read(firstOf(stored)));
    return { images: stored, facts, close: () => stored.close() };
  } catch (error) {
    await stored.close();
    throw error;
  }
}

/**
 * The same data set in memory, where it is small or all of it is needed; what it was read from is closed then.
 *
 * @param whole Whether all images are needed in memory.
 */
export async function loadData(
  { images: stored, facts, close }: TrainingData,
  { whole, onProgress }: { whole: boolean; onProgress: (done: number, total: number) => void },
): Promise<TrainingData> {
  if (!('read' in stored) || (!whole && bytesOf(facts) > KEEP)) return { images: stored, facts, close };
  const images = await loadImages(stored, onProgress);
  await close();
  return { images, facts, close: async () => {} };
}

const bytesOf = ({ shape }: TrainingData['facts']) => shape.reduce((product, extent) => product * extent, 1);

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

/**
 * @param whole Whether all images are needed in memory.
 * @throws Error when a network cannot be trained on these images, or they are to be in memory and cannot
 */
export function checkData(
  path: string,
  { facts }: TrainingData,
  { imageShape, classes }: Network,
  { whole }: { readonly whole: boolean },
): void {
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
  const bytes = bytesOf(facts);
  if (whole && bytes > constants.MAX_LENGTH) {
    const gibibytes = (size: number) => (size / 2 ** 30).toFixed(1);
    throw new Error(
      `${path}: all images are needed as references, ${gibibytes(bytes)} GiB, and this Node.js has arrays of at most ` +
        `${gibibytes(constants.MAX_LENGTH)}: a newer one has larger, or set estimator.references to batch-of-class`,
    );
  }
}

/** All images as references. */
export function referencesOf({ images }: TrainingData, { onGpu }: { readonly onGpu: boolean }): ReferenceSet {
  const { images: bytes, shape, labels } = images as ImageDataset;
  return referenceSet({ images: bytes, shape, ...(labels && { labels }), keep: keptAs(bytes.length, onGpu) });
}

/** How references of so many bytes stay on a backend. A processor converts them from its own memory as fast as from tensors. */
export function keptAs(bytes: number, onGpu: boolean): KeptAs {
  if (4 * bytes <= KEEP) return 'float32';
  return onGpu ? 'bytes' : 'none';
}
