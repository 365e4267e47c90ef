import * as tf from '@tensorflow/tfjs-core';

/** Σ coefficient·x of tensors of one shape, a new tensor: by the fused kernel where the backend has it. */
export function sum(...terms: readonly (readonly [coefficient: number, x: tf.Tensor4D])[]): tf.Tensor4D {
  return tf.tidy(() => {
    const [first, ...rest] = terms.filter(([coefficient]) => coefficient !== 0);
    if (!first) return tf.zerosLike(terms[0]![1]);
    if (rest.length === 0) return first[0] === 1 ? tf.clone(first[1]) : tf.mul(first[1], first[0]);
    let [alpha, total] = first;
    for (const [beta, x] of rest) {
      total = combine(alpha, total, beta, x);
      alpha = 1;
    }
    return total;
  });
}

function combine(alpha: number, a: tf.Tensor4D, beta: number, b: tf.Tensor4D): tf.Tensor4D {
  const fused = 'LinearCombination';
  if (tf.getKernel(fused, tf.getBackend())) {
    const result: tf.Tensor | tf.Tensor[] = tf.engine().runKernel(fused, { a, b }, { alpha, beta });
    return (Array.isArray(result) ? result[0]! : result) as tf.Tensor4D;
  }
  return tf.add(alpha === 1 ? a : tf.mul(a, alpha), tf.mul(b, beta));
}
