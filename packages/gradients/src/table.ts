import type * as tf from '@tensorflow/tfjs-core';

/** A gradient as tfjs-core registers it, without the kernel's name. */
export type Gradient = Omit<tf.GradConfig, 'kernelName'>;

/** Gradients by kernel name. */
export type GradientTable = Readonly<Record<string, Gradient>>;

/** What one kernel saves and how its inputs' gradients follow, with tensors where tfjs-core says "tensor or tensors". */
export function gradient<Attributes extends object = object>(definition: {
  save?: readonly string[];
  saveOutput?: boolean;
  of: (dy: tf.Tensor, saved: tf.Tensor[], attributes: Attributes) => Record<string, () => tf.Tensor>;
}): Gradient {
  return {
    inputsToSave: [...(definition.save ?? [])],
    outputsToSave: [definition.saveOutput ?? false],
    gradFunc: (dy, saved, attributes) =>
      definition.of(dy as tf.Tensor, saved, attributes as unknown as Attributes) as tf.NamedGradientMap,
  };
}
