import type * as tf from '@tensorflow/tfjs-core';

/** Where the samples of a reference set lie. */
export interface Source {
  readonly count: number;
  /** Mean over the samples, [dims]. */
  readonly mean: tf.Tensor1D;
  /** Rows [x', |x'|², 1] of a range, x' being centred by the mean; the caller's. */
  rows(range: Range): tf.Tensor2D;
  /** The range as bytes on the backend, where samples are bytes. */
  packed?(range: Range): PackedRows;
  /** Some of the samples. */
  subset(members: Int32Array): Source;
  /** Frees the mean, and what else the source keeps on the backend. */
  free(): void;
}

/** Samples from `begin` to `end`, without it. */
export interface Range {
  readonly begin: number;
  readonly end: number;
}

/** A range as bytes on the backend. */
export interface PackedRows {
  /** As {@link Source.rows}. */
  rows(): tf.Tensor2D;
  dispose(): void;
}
