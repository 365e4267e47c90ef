import * as tf from '@tensorflow/tfjs-core';

/** Runs a kernel by name where the current backend has registered it; undefined elsewhere. */
export function fused(
  name: string,
  inputs: tf.NamedTensorMap,
  attributes: Readonly<Record<string, number | string>> = {},
): tf.Tensor[] | undefined {
  if (!tf.getKernel(name, tf.getBackend())) return undefined;
  const output = tf.engine().runKernel(name, inputs, attributes);
  return Array.isArray(output) ? (output as tf.Tensor[]) : [output as tf.Tensor];
}

/** An operation with a gradient of its own: `f` gets the inputs and a function that saves tensors for the gradient. */
export function withGradient<T extends tf.Tensor>(
  inputs: tf.Tensor[],
  f: (save: tf.GradSaveFunc) => { value: T; gradient: (dy: T, saved: tf.Tensor[]) => tf.Tensor[] },
): T {
  const operation = tf.customGrad((...args) => {
    const { value, gradient } = f(args[args.length - 1] as tf.GradSaveFunc);
    return { value, gradFunc: (dy, saved) => gradient(dy as T, saved) };
  });
  return operation(...inputs) as T;
}
