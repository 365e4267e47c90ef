import type { ImageDataset } from './dataset';
import { naming, readFromFolder, readOneOf } from './files';
import { idxDataset } from './idx';

const prefixes = { train: 'train', test: 't10k' } as const;

/**
 * MNIST, or a data set that comes in the same files (Fashion-MNIST, KMNIST): 28 × 28 × 1, ten classes.
 *
 * @param source The folder of `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-…` (raw or `.gz`, also spelt
 *   `train-images.idx3-ubyte`), or the paths of a file of images and one of labels.
 * @param part The 60,000 images for training or the 10,000 for tests, when `source` is a folder. Default 'train'.
 * @throws DatasetError when a file is missing, cannot be unpacked, or is not what it should be; the message names it.
 */
export async function loadMnist(
  source: string | { readonly images: string; readonly labels: string },
  part: 'train' | 'test' = 'train',
): Promise<ImageDataset> {
  const inFolder = (folder: string, kind: string, rank: number) =>
    readFromFolder(folder, `${prefixes[part]}-${kind}-idx${rank}-ubyte`, `${prefixes[part]}-${kind}.idx${rank}-ubyte`);
  const [images, labels] = await Promise.all(
    typeof source === 'string'
      ? [inFolder(source, 'images', 3), inFolder(source, 'labels', 1)]
      : [readOneOf([source.images]), readOneOf([source.labels])],
  );
  return naming(`${images.path}, ${labels.path}`, () => idxDataset({ images: images.bytes, labels: labels.bytes }));
}
