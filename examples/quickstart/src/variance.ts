import { type ImageDataset, toFloat } from '@cm/datasets';
import { type Key, normal, permutation, split } from '@cm/random';
import { referenceSet, stableTarget } from '@cm/stable-target';
import * as tf from '@tensorflow/tfjs-core';
import type { VarianceRow } from './summary';

/** Noise levels at which the training target's variance is measured. */
const noiseLevels = [0.2, 0.5, 1, 2, 5, 10];

/** Sizes of the random reference sets that are measured, besides the one sample and the whole set. */
const referenceCounts = [64, 1000, 10_000];

/**
 * The variance of the training target: the mean squared distance per pixel of each estimate of E[x_0 | x_t] from the
 * posterior mean over the whole data set, which for this finite data set is E[x_0 | x_t] itself.
 * x_0 is drawn from the data set, so given x_t it is a sample of the posterior, and for the one-sample estimate
 * x̂ = x_0 the distance is the posterior's variance.
 */
export function targetVariance(dataset: ImageDataset, key: Key, batchSize = 128): VarianceRow[] {
  const [count, height, width, channels] = dataset.shape;
  const size = height * width * channels;
  const order = permutation(split(key, 'order'), count);
  const gather = (indices: ArrayLike<number>) => {
    const images = new Uint8Array(indices.length * size);
    for (let i = 0; i < indices.length; i++) {
      const start = indices[i]! * size;
      images.set(dataset.images.subarray(start, start + size), i * size);
    }
    return images;
  };

  const own = order.slice(0, batchSize);
  const shape: [number, number, number, number] = [batchSize, height, width, channels];
  const x0 = toFloat(gather(own), shape);
  const whole = referenceSet({ images: dataset.images, shape: dataset.shape });
  // Each subset begins with the batch's own images, so that a row's index in it is its own.
  const subsets = referenceCounts.map((n) =>
    referenceSet({ images: gather(order.slice(0, n + batchSize)), shape: [n + batchSize, height, width, channels] }),
  );

  const rows: VarianceRow[] = [];
  for (const t of noiseLevels) {
    tf.tidy(() => {
      const noise = normal(split(key, 'noise', String(t)), shape) as tf.Tensor4D;
      const levels = new Float32Array(batchSize).fill(t);
      const estimate = (references: typeof whole, ownIndex: ArrayLike<number>) =>
        stableTarget({ references, x0, noise, t: levels, ownIndex }).posteriorMean;
      const truth = estimate(whole, own);
      const variance = (mean: tf.Tensor) => tf.mean(tf.squaredDifference(mean, truth)).dataSync()[0]!;
      rows.push({ t, estimator: 'ECT: the one sample', variance: variance(x0) });
      subsets.forEach((references, i) => {
        const n = referenceCounts[i]! + batchSize;
        const mean = estimate(
          references,
          own.map((_, row) => row),
        );
        rows.push({ t, estimator: `SCT: ${n.toLocaleString('en')} references`, variance: variance(mean) });
      });
      rows.push({ t, estimator: 'SCT: the whole set', variance: variance(truth) });
    });
  }
  tf.dispose(x0);
  for (const references of [whole, ...subsets]) references.dispose();
  return rows;
}
