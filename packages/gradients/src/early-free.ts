import * as tf from '@tensorflow/tfjs-core';

/**
 * Makes the backward pass that is about to run free tensors as soon as they are used up: what was saved for an operation and the
 * gradients of its outputs are needed by nothing once the operation before it has its turn. tfjs keeps all of them to the end, which
 * takes twice the memory, and memory that has long left the caches.
 *
 * To be called at the end of the differentiated function. Does nothing where gradients of gradients are taken: they need it all.
 */
export function freeAsUsed(): void {
  const { state } = tf.engine();
  if (state.gradientDepth > 1) return;
  let used: tf.Tensor[] = [];
  for (const node of state.activeTape) {
    const { gradient, saved = [] } = node;
    if (!gradient) continue;
    node.gradient = (dys) => {
      tf.dispose(used);
      used = [...dys.filter((dy) => dy != null), ...saved];
      // A gradient that is one of these itself, passed on, or goes to two inputs, is freed once for each.
      const taken = new Set(used);
      const toInputs = gradient(dys);
      return Object.fromEntries(
        Object.entries(toInputs).map(([input, toInput]) => [
          input,
          () => {
            const dx = toInput();
            if (taken.has(dx)) return tf.clone(dx);
            taken.add(dx);
            return dx;
          },
        ]),
      );
    };
  }
}
