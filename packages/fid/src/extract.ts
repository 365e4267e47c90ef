import * as tf from '@tensorflow/tfjs-core';
import { type FeatureAccumulator, type FeatureMatrix, type FeatureStatistics, featureAccumulator } from './statistics';

/** Features [batch, size] of images [batch, height, width, channels] in [−1, 1]; the returned tensor is the caller's. */
export type FeatureExtractor = (images: tf.Tensor4D) => tf.Tensor2D;

/** Batches of images: an array, a generator, or an asynchronous one. Every batch that is taken is freed. */
export type ImageBatches = Iterable<tf.Tensor4D> | AsyncIterable<tf.Tensor4D>;

/** How images become features. */
export interface ExtractOptions {
  /** Rounds images to the 256 values that a file holds first, as evaluation on files does. Default true. */
  readonly quantize?: boolean;
}

/**
 * Images rounded to the nearest of the 256 levels v/127.5 − 1, after clipping to [−1, 1]: what they are once written to a file and read.
 *
 * @returns The caller's tensor.
 *
 * @example
 * ```ts
 * import { quantize } from '@cm/fid';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * const levels = quantize(tf.tensor4d([-2, 0.001, 1], [1, 1, 3, 1]));
 * console.log(levels.dataSync()); // [-1, 0.00392, 1]
 * ```
 */
export function quantize(images: tf.Tensor4D): tf.Tensor4D {
  return tf.tidy(() => {
    const levels = tf.floor(tf.add(tf.mul(tf.clipByValue(images, -1, 1), 127.5), 128));
    return tf.sub(tf.div(levels, 127.5), 1);
  });
}

/**
 * Mean and covariance of the features of images, which are taken batch by batch: memory does not grow with their number.
 *
 * @throws RangeError when there are fewer than two images, an image or a feature is NaN or infinite, or batches give features of
 *   different sizes; the message says which batch.
 *
 * @example
 * ```ts
 * import { computeStatistics } from '@cm/fid';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * const meanColour = (images: tf.Tensor4D) => tf.mean(images, [1, 2]) as tf.Tensor2D;
 * const { mean, count } = await computeStatistics(meanColour, [tf.ones([4, 8, 8, 3]), tf.zeros([4, 8, 8, 3])]);
 * console.log(mean, count); // [0.502, 0.502, 0.502] 8
 * ```
 */
export async function computeStatistics(
  extract: FeatureExtractor,
  images: ImageBatches,
  options: ExtractOptions = {},
): Promise<FeatureStatistics> {
  let accumulator: FeatureAccumulator | undefined;
  let batch = 0;
  for await (const features of featureBatches(extract, images, options)) {
    accumulator ??= featureAccumulator(features.shape[1]);
    try {
      accumulator.add(features);
    } catch (error) {
      throw new RangeError(`computeStatistics: batch ${batch}: ${(error as Error).message}`, { cause: error });
    }
    batch++;
  }
  if (!accumulator) throw new RangeError('computeStatistics: no images, expected at least 2');
  return accumulator.statistics();
}

/**
 * The features themselves, for {@link kid} and {@link precisionRecall}.
 *
 * @throws RangeError when there are no images, an image is NaN or infinite, or batches give features of different sizes.
 */
export async function computeFeatures(
  extract: FeatureExtractor,
  images: ImageBatches,
  options: ExtractOptions = {},
): Promise<FeatureMatrix> {
  const batches: FeatureMatrix[] = [];
  for await (const features of featureBatches(extract, images, options)) {
    const size = (batches[0] ?? features).shape[1];
    if (features.shape[1] !== size) {
      throw new RangeError(
        `computeFeatures: batch ${batches.length} has ${features.shape[1]} features, expected ${size} as the first`,
      );
    }
    batches.push(features);
  }
  if (batches.length === 0) throw new RangeError('computeFeatures: no images, expected at least 1');
  const rows = batches.reduce((sum, { shape }) => sum + shape[0], 0);
  const size = batches[0]!.shape[1];
  const values = new Float32Array(rows * size);
  let at = 0;
  for (const batch of batches) {
    values.set(batch.values, at);
    at += batch.values.length;
  }
  return { shape: [rows, size], values };
}

async function* featureBatches(
  extract: FeatureExtractor,
  images: ImageBatches,
  { quantize: quantized = true }: ExtractOptions,
): AsyncGenerator<FeatureMatrix> {
  let batch = 0;
  for await (const taken of images) {
    let features: tf.Tensor2D | undefined;
    try {
      await requireFinite(taken, batch++);
      features = tf.tidy(() => extract(quantized ? quantize(taken) : tf.clone(taken)));
      if (features.rank !== 2 || features.shape[0] !== taken.shape[0]) {
        throw new RangeError(`extract: features have shape [${features.shape}], expected [${taken.shape[0]}, size]`);
      }
      yield { shape: features.shape, values: (await features.data()) as Float32Array };
    } finally {
      tf.dispose([taken, ...(features ? [features] : [])]);
    }
  }
}

/** Clipping may turn NaN into a number; so images are looked at before. */
async function requireFinite(images: tf.Tensor4D, batch: number): Promise<void> {
  const check = tf.tidy(() => tf.sum(tf.mul(images, 0)));
  const [sum] = await check.data();
  check.dispose();
  if (sum !== 0) throw new RangeError(`images of batch ${batch} hold NaN or infinite values, expected finite ones`);
}
