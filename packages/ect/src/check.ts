import type * as tf from '@tensorflow/tfjs-core';
import type { TrainingBatch } from './model';

/** Throws unless a tensor has the expected shape: broadcasting would hide another one. */
export function expectShape(where: string, name: string, { shape }: tf.Tensor, expected: readonly number[]): void {
  if (shape.join() !== expected.join()) {
    throw new Error(`${where}: ${name} has shape [${shape}], expected [${expected}]`);
  }
}

/** Throws unless everything in the batch is of as many rows as its images. */
export function checkBatch({ images, noise, t, condition, labels, indices }: TrainingBatch): void {
  const where = 'consistencyTarget';
  const count = images.shape[0];
  if (images.rank !== 4 || count === 0) {
    throw new Error(`${where}: images has shape [${images.shape}], expected [batch, height, width, channels]`);
  }
  expectShape(where, 'noise', noise, images.shape);
  const lengths = { t: t.length, condition: condition?.shape[0], labels: labels?.length, indices: indices?.length };
  for (const [name, length] of Object.entries(lengths)) {
    if (length !== undefined && length !== count) {
      throw new Error(`${where}: ${name} has ${length} entries, expected batch ${count}`);
    }
  }
}
