import * as tf from '@tensorflow/tfjs-core';

/** Runs a kernel by name where the current backend has registered it; undefined elsewhere. */
export function fused(
  name: string,
  inputs: tf.NamedTensorMap,
  attributes: Readonly<Record<string, number>> = {},
): tf.Tensor[] | undefined {
  if (!tf.getKernel(name, tf.getBackend())) return undefined;
  const output: tf.Tensor | tf.Tensor[] = tf.engine().runKernel(name, inputs, attributes);
  return Array.isArray(output) ? output : [output];
}
