import * as tf from '@tensorflow/tfjs-core';

/**
 * f(inputs), of which the backward pass keeps nothing but the inputs: what f computes on its way is computed again when its gradient is
 * asked for (activation checkpointing; Chen et al., arXiv 1604.06174). Saves the memory of f's activations for the price of a second
 * forward pass of f.
 *
 * @param f made of tfjs operations of its inputs alone: no gradient reaches tensors that it uses besides. The same inputs must give the same
 *   value, so random numbers have to come from a key
 */
export function recomputed<T extends tf.Tensor>(
  f: (inputs: tf.NamedTensorMap) => T,
  inputs: Readonly<tf.NamedTensorMap>,
): T {
  const names = Object.keys(inputs);
  const named = (tensors: readonly tf.Tensor[]) => Object.fromEntries(names.map((name, i) => [name, tensors[i]!]));
  const operation = tf.customGrad((...args) => {
    const [save, ...tensors] = args.reverse() as unknown as [tf.GradSaveFunc, ...tf.Tensor[]];
    tensors.reverse();
    save(tensors);
    return { value: f(named(tensors)), gradFunc: (dy, saved) => pullBack((given) => f(named(given)), saved, dy as T) };
  });
  return operation(...names.map((name) => inputs[name]!)) as T;
}

/** Gradients of f's product with dy, taken within a backward pass. */
function pullBack(f: (inputs: tf.Tensor[]) => tf.Tensor, inputs: tf.Tensor[], dy: tf.Tensor): tf.Tensor[] {
  const { state } = tf.engine();
  // The engine takes the end of this backward pass for that of the outer one, and drops its tape.
  const { activeTape } = state;
  try {
    return tf.tidy(() => {
      const { grads } = tf.engine().gradients(() => f(inputs), inputs, dy, true);
      // Each is to be a tensor of its own: the engine frees them one by one.
      const taken = new Set<tf.Tensor>([dy, ...inputs]);
      return (grads as (tf.Tensor | undefined)[]).map((gradient, i) => {
        if (!gradient) return tf.zerosLike(inputs[i]!);
        if (taken.has(gradient)) return tf.clone(gradient);
        taken.add(gradient);
        return gradient;
      });
    });
  } finally {
    state.activeTape = activeTape;
  }
}

/** The tensors of a map whose names begin with a layer's. */
export const ofLayer = (tensors: Readonly<tf.NamedTensorMap>, layer: string): tf.NamedTensorMap =>
  Object.fromEntries(Object.entries(tensors).filter(([name]) => name.startsWith(`${layer}.`)));
