import * as tf from '@tensorflow/tfjs-core';

/** Parameters as the network takes them, from tensors as the public checkpoints have them: convolutions OIHW to HWIO. New tensors. */
export const fromCheckpoint = (tensors: tf.NamedTensorMap): tf.NamedTensorMap => permuted(tensors, [2, 3, 1, 0]);

/** Tensors as the public checkpoints have them, from parameters: convolutions HWIO to OIHW. New tensors. */
export const toCheckpoint = (params: tf.NamedTensorMap): tf.NamedTensorMap => permuted(params, [3, 2, 0, 1]);

function permuted(tensors: tf.NamedTensorMap, permutation: number[]): tf.NamedTensorMap {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [
      name,
      tensor.rank === 4 ? tf.transpose(tensor, permutation) : tf.clone(tensor),
    ]),
  );
}
