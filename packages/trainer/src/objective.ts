import type { ConsistencyModel } from '@cm/ect';
import type { Key } from '@cm/random';
import type * as tf from '@tensorflow/tfjs-core';

/** Images to train on, as the loader of `@cm/datasets` gives them. */
export interface Batch {
  /** [batch, height, width, channels], float32 in [−1, 1]. The trainer frees it. */
  readonly images: tf.Tensor4D;
  /** The class of each image. */
  readonly labels?: ArrayLike<number>;
  /** Which image of the data set each row is. */
  readonly indices?: ArrayLike<number>;
  /** 1 where the row is mirrored, and so not an image of the data set itself. */
  readonly flipped?: ArrayLike<number>;
  /** Which rows of the whole batch these are, where several processes share it. Set by the trainer. Default: all. */
  readonly part?: BatchPart;
}

/** Rows of a batch that several processes share: those from `first` on, of `total`. */
export interface BatchPart {
  readonly first: number;
  readonly total: number;
}

/** {@link Batch.part}, of a whole batch too. */
export const partOf = ({ images, part }: Batch): BatchPart => part ?? { first: 0, total: images.shape[0] };

/** An endless sequence of batches by position, such as the loader of `@cm/datasets`. A batch depends on its position alone. */
export interface BatchSource {
  /** The batch at a position, 0 or more. */
  batchAt(position: number): Batch | Promise<Batch>;
}

/** What a {@link TrainingObjective} is given: the whole batch of this process, however small the parts are that the network sees. */
export interface ObjectiveContext {
  readonly batch: Batch;
  /** The batch's condition, where the network has one. It stays the trainer's. */
  readonly condition?: tf.Tensor;
  /** The step's own key. */
  readonly key: Key;
  /** Steps taken before this one. */
  readonly step: number;
  /** The model that targets come from, without gradient: the student as it is, or an average. Rows are named by their places in the batch of all processes. */
  readonly teacher: ConsistencyModel;
}

/** What a step minimises. */
export interface StepLoss {
  /**
   * The part of the batch's mean loss that rows `begin` to `end` (without it) contribute: parts sum to the whole. A scalar, differentiable in
   * the model. The model is called with the rows' places in the batch. Of a part of a batch (`Batch.part`), `begin` and `end` count from its first
   * row, while the mean and the places are those of the whole.
   */
  loss(model: ConsistencyModel, begin: number, end: number): tf.Scalar;
  /** Numbers worth logging. */
  readonly stats: Readonly<Record<string, number>>;
  /** Names of those that add up over processes. Of the others, the mean is logged. */
  readonly counts?: readonly string[];
  /** Frees what the objective allocated. */
  dispose(): void;
}

/** What training is for: the loss of a step. All that is random in it comes from the step's key and the rows' places in the batch. */
export type TrainingObjective = (context: ObjectiveContext) => StepLoss;
