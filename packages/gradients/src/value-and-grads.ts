import * as tf from '@tensorflow/tfjs-core';
import { freeAsUsed } from './early-free';

/** The value of a function of parameters, and its gradient with respect to each. */
export interface ValueAndGrads {
  readonly value: tf.Scalar;
  /** Under the parameters' names, in their shapes. */
  readonly grads: tf.NamedTensorMap;
}

/**
 * Evaluates a scalar function of named parameters and its gradient with respect to every one of them.
 *
 * A parameter that the value does not depend on has a zero gradient. What `f` allocates is freed; the returned tensors are the caller's.
 *
 * @param f a function made of tfjs operations; it receives `params`.
 * @param params float32 tensors; they need not be variables.
 * @throws if `f` returns something other than a scalar, or uses a kernel without a registered gradient.
 *
 * @example
 * ```ts
 * import { valueAndGrads } from '@cm/gradients';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * const { value, grads } = valueAndGrads(({ x }) => tf.sum(tf.square(x!)) as tf.Scalar, { x: tf.tensor1d([3, 4]) });
 * console.log(value.arraySync(), grads.x!.arraySync()); // 25 [6, 8]
 * ```
 */
export function valueAndGrads(f: (params: tf.NamedTensorMap) => tf.Scalar, params: tf.NamedTensorMap): ValueAndGrads {
  const names = Object.keys(params);
  const tensors = names.map((name) => params[name]!);
  if (tensors.length === 0) throw new Error('valueAndGrads: params is empty, expected at least one tensor');
  return tf.tidy(() => {
    const { value, grads } = differentiate(() => {
      const result = f(params);
      if (!(result instanceof tf.Tensor) || result.rank !== 0) {
        const got = result instanceof tf.Tensor ? `a tensor of shape [${result.shape}]` : typeof result;
        throw new Error(`valueAndGrads: f returned ${got}, expected a scalar tensor`);
      }
      freeAsUsed();
      return result;
    }, tensors);
    return {
      value,
      grads: Object.fromEntries(names.map((name, i) => [name, grads[i] ?? tf.zerosLike(tensors[i]!)])),
    };
  });
}

function differentiate(
  f: () => tf.Scalar,
  tensors: tf.Tensor[],
): { value: tf.Scalar; grads: (tf.Tensor | undefined)[] } {
  try {
    // The engine's own method, unlike tf.valueAndGrads, allows parameters that the value does not reach.
    return tf.engine().gradients(f, tensors, undefined, true) as { value: tf.Scalar; grads: (tf.Tensor | undefined)[] };
  } catch (error) {
    freeTape();
    const kernel = error instanceof Error && /gradient function not found for (\w+)/.exec(error.message)?.[1];
    if (!kernel) throw error;
    throw new Error(
      `valueAndGrads: no gradient is registered for kernel '${kernel}'; @cm/gradients has none: ` +
        `import '@tensorflow/tfjs', which has more, or register one with tf.registerGradient`,
      { cause: error },
    );
  }
}

/** What was saved for a backward pass that will not run: the engine frees it only after one that succeeds. */
function freeTape(): void {
  const { state } = tf.engine();
  if (state.gradientDepth > 0) return;
  for (const node of state.activeTape ?? []) tf.dispose(node.saved ?? []);
}
