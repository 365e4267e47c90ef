import type * as tf from '@tensorflow/tfjs-core';

/**
 * A consistency model D(x, t): denoised images of noisy ones [batch, height, width, channels] at noise levels t [batch].
 *
 * `rows` are the rows' places in the batch. A model with dropout draws its masks by them, so that the teacher, which sees some rows only, drops
 * what the student drops.
 */
export type ConsistencyModel = (
  x: tf.Tensor4D,
  t: tf.Tensor1D,
  condition?: tf.Tensor | null,
  rows?: ArrayLike<number>,
) => tf.Tensor4D;

/** What a training step starts from. */
export interface TrainingBatch {
  /** Clean images x_0 [batch, height, width, channels]. */
  readonly images: tf.Tensor4D;
  /** Standard-normal noise ε, shaped like the images. */
  readonly noise: tf.Tensor4D;
  /** Noise level of each row, above 0. The schedule has the last word: a discrete one moves it to its grid. */
  readonly t: ArrayLike<number>;
  /** Condition of each row, first axis the batch's. */
  readonly condition?: tf.Tensor;
  /** Class of each row, for estimators that tell classes apart. */
  readonly labels?: ArrayLike<number>;
  /** Position in the data set of each row's image; −1 where it was changed, as by mirroring. For estimators that use the data set. */
  readonly indices?: ArrayLike<number>;
}
