import * as tf from '@tensorflow/tfjs-core';

/** Distance of each row between predictions and targets [batch, ...]: [batch], differentiable in the prediction. */
export type Metric = (prediction: tf.Tensor4D, target: tf.Tensor4D) => tf.Tensor1D;

/** Options of {@link pseudoHuber}. */
export interface PseudoHuberOptions {
  /** Distance below which it is quadratic. 0 makes it the L2 norm. ECT uses 0 (CIFAR-10) and 0.06 (ImageNet-64), iCT 0.00054·√dims. */
  readonly c: number;
}

/**
 * √(Σ d² + c²) − c over a row's values. The gradient d/√(Σ d² + c²) is written out, and is 0 where the root is: at c = 0 and d = 0, where
 * that of the square root alone would be infinite. Small distances are computed as Σ d²/(√(Σ d² + c²) + c), without cancellation.
 *
 * @throws Error when c is negative or not finite
 */
export function pseudoHuber({ c }: PseudoHuberOptions): Metric {
  if (!(c >= 0 && c < Number.POSITIVE_INFINITY))
    throw new Error(`pseudoHuber: c is ${c}, expected a finite number, 0 or more`);
  return (prediction, target) => {
    const operation = tf.customGrad((x, save) => {
      const difference = tf.sub(x as tf.Tensor, target);
      const squares = tf.sum(tf.square(difference), [1, 2, 3]);
      const root = tf.sqrt(tf.add(squares, c * c));
      (save as tf.GradSaveFunc)([difference, root]);
      const value = c === 0 ? root : tf.div(squares, tf.add(root, c));
      const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [d, length] = saved as [tf.Tensor, tf.Tensor];
        const scale = tf.div(dy, tf.where(tf.greater(length, 0), length, tf.onesLike(length)));
        return tf.mul(d, tf.reshape(scale, [-1, 1, 1, 1]));
      };
      return { value, gradFunc: gradFunc as (dy: tf.Tensor, saved: tf.Tensor[]) => tf.Tensor };
    });
    return operation(prediction) as tf.Tensor1D;
  };
}

/** The L2 norm √(Σ d²) over a row's values, with gradient 0 at 0. */
export const l2 = (): Metric => pseudoHuber({ c: 0 });

/** Σ d² over a row's values. */
export const squaredL2 = (): Metric => (prediction, target) =>
  tf.sum(tf.squaredDifference(prediction, target), [1, 2, 3]) as tf.Tensor1D;

/** Σ |d| over a row's values. */
export const l1 = (): Metric => (prediction, target) =>
  tf.sum(tf.abs(tf.sub(prediction, target)), [1, 2, 3]) as tf.Tensor1D;
