import * as tf from '@tensorflow/tfjs-core';

/** Distance of each row between predictions and targets [batch, ...]: [batch], differentiable in the prediction. */
export type Metric = (prediction: tf.Tensor4D, target: tf.Tensor4D) => tf.Tensor1D;

/** Options of {@link pseudoHuber}. */
export interface PseudoHuberOptions {
  /** Distance below which it is quadratic. 0 makes it the L2 norm. ECT uses 0 (CIFAR-10) and 0.06 (ImageNet-64), iCT {@link ictConstant}. */
  readonly c: number;
}

/**
 * √(Σ d² + c²) − c over a row's values. The gradient d/√(Σ d² + c²) is written out, and is 0 where the root is: at c = 0 and d = 0, where
 * that of the square root alone would be infinite. Small distances are computed as Σ d²/(√(Σ d² + c²) + c), without cancellation.
 *
 * @throws Error when c is negative or not finite
 *
 * @example
 * ```ts
 * import { pseudoHuber } from '@cm/ect';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * const distance = pseudoHuber({ c: 0.03 });
 * const [a, b] = [tf.zeros([2, 2, 2, 1]), tf.tensor4d([0, 0, 0, 0, 1, 1, 1, 1], [2, 2, 2, 1])] as [tf.Tensor4D, tf.Tensor4D];
 * console.log(distance(a, b).arraySync()); // [0, 1.97]
 * ```
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

/**
 * iCT's c = 0.00054·√dims for images of so many values: 0.03 for CIFAR-10, 0.06 for ImageNet-64.
 *
 * @see Song and Dhariwal (arXiv 2310.14189), section 3.3
 *
 * @example
 * ```ts
 * import { ictConstant } from '@cm/ect';
 *
 * console.log(ictConstant(32 * 32 * 3)); // 0.0299
 * ```
 */
export const ictConstant = (dims: number): number => 0.00054 * Math.sqrt(dims);

/** The L2 norm √(Σ d²) over a row's values, with gradient 0 at 0. */
export const l2 = (): Metric => pseudoHuber({ c: 0 });

/** Σ d² over a row's values. */
export const squaredL2 = (): Metric => (prediction, target) =>
  tf.sum(tf.squaredDifference(prediction, target), [1, 2, 3]) as tf.Tensor1D;

/** Σ |d| over a row's values. */
export const l1 = (): Metric => (prediction, target) =>
  tf.sum(tf.abs(tf.sub(prediction, target)), [1, 2, 3]) as tf.Tensor1D;

/** Options of {@link perceptual}. */
export interface PerceptualOptions {
  /** Feature maps [batch, height, width, channels] of images, one for each layer that counts. It does whatever resizing its network needs. */
  readonly features: (images: tf.Tensor4D) => readonly tf.Tensor4D[];
  /** How much each channel of each layer counts, [channels] each. Default 1. LPIPS has learnt ones. */
  readonly weights?: readonly tf.Tensor1D[];
}

/**
 * A perceptual distance in the form of LPIPS: Σ over layers of the mean over positions of Σ_c w_c·(f_c − g_c)², f and g being the features of
 * prediction and target, of unit length along the channels. With LPIPS's network and weights it is LPIPS.
 *
 * @throws Error (the metric) when there are not as many weights as layers
 * @see Zhang et al., The Unreasonable Effectiveness of Deep Features as a Perceptual Metric (arXiv 1801.03924), Eq. 1
 */
export function perceptual({ features, weights }: PerceptualOptions): Metric {
  const unit = (x: tf.Tensor4D) => tf.mul(x, tf.rsqrt(tf.add(tf.sum(tf.square(x), 3, true), 1e-10)));
  return (prediction, target) =>
    tf.tidy(() => {
      const theirs = features(target);
      const layers = features(prediction);
      if (weights && weights.length !== layers.length) {
        throw new Error(
          `perceptual: weights has ${weights.length} entries, expected ${layers.length}, one for each layer`,
        );
      }
      const distances = layers.map((layer, i) => {
        const squares = tf.squaredDifference(unit(layer), unit(theirs[i]!));
        return tf.mean(tf.sum(weights ? tf.mul(squares, weights[i]!) : squares, 3), [1, 2]) as tf.Tensor1D;
      });
      return tf.addN(distances);
    });
}
