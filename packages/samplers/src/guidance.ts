import * as tf from '@tensorflow/tfjs-core';
import type { Denoiser } from './model';
import { sum } from './sum';

/** How strongly, and where, a model is guided. */
export interface GuidanceOptions {
  /**
   * w in Karras's convention: D = D_bad + w·(D_good − D_bad), so that 1 is off. In Eq. 18's convention, and Ho and Salimans's, the strength is
   * ω = w − 1: 0 is off. The SCT paper's value of 1.2 is w.
   */
  readonly strength: number;
  /** Noise levels min < t ≤ max at which guidance acts; elsewhere the good model is asked alone. Default: all. */
  readonly interval?: { readonly min?: number; readonly max?: number };
}

/**
 * Guidance by a second model: D = D_bad + w·(D_good − D_bad).
 *
 * With a sub-optimal version of the same model, such as its average at half the training, this is Eq. 18 of the SCT paper; with a smaller,
 * less trained model it is autoguidance (Karras et al., arXiv 2406.02507). Two calls of networks an evaluation; one where
 * the strength is 1 or t is outside of the interval (Kynkäänniemi et al., arXiv 2404.07724).
 *
 * @throws Error when the strength is not finite or the interval is empty
 *
 * @example
 * ```ts
 * import { key } from '@cm/random';
 * import { guided, sampleOneStep } from '@cm/samplers';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * const good = (x: tf.Tensor4D) => tf.onesLike(x); // yours: the model
 * const bad = (x: tf.Tensor4D) => tf.mul(tf.onesLike(x), 0.5) as tf.Tensor4D; // and its average at half of the training
 * const images = sampleOneStep(guided(good, bad, { strength: 1.2 }), { shape: [1, 1, 1, 1], key: key(0) });
 * console.log(images.dataSync()[0]); // 1.1
 * ```
 */
export function guided(good: Denoiser, bad: Denoiser, options: GuidanceOptions): Denoiser {
  return guide('guided', good, options, (x, t, condition) => [good(x, t, condition), bad(x, t, condition)]);
}

/** Options of {@link classifierFreeGuided}. */
export interface ClassifierFreeOptions extends GuidanceOptions {
  /**
   * The condition that stands for none, one row of the kind of the others (a zero one-hot row, an empty prompt's embedding). With it
   * both answers come from one call of the network on twice the batch. Without it the network is called a second time, with `null`.
   */
  readonly unconditional?: tf.Tensor;
}

/**
 * Classifier-free guidance (Ho and Salimans, arXiv 2207.12598): the same model asked with the condition and without it,
 * D = D(x, t, none) + w·(D(x, t, c) − D(x, t, none)).
 *
 * @throws Error when the strength is not finite or the interval is empty; the denoiser, when it is called without a condition
 *
 * @example
 * ```ts
 * import { classifierFreeGuided } from '@cm/samplers';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * // Yours: a network that takes labels, null for none.
 * const model = (x: tf.Tensor4D, _t: tf.Tensor1D, labels?: tf.Tensor | null) => tf.fill(x.shape, labels ? 1 : 0.5) as tf.Tensor4D;
 * const denoiser = classifierFreeGuided(model, { strength: 2 });
 * console.log(denoiser(tf.zeros([1, 1, 1, 1]), tf.tensor1d([1]), tf.tensor1d([7], 'int32')).dataSync()[0]); // 1.5
 * ```
 */
export function classifierFreeGuided(model: Denoiser, options: ClassifierFreeOptions): Denoiser {
  const { unconditional } = options;
  return guide('classifierFreeGuided', model, options, (x, t, condition) => {
    if (!condition) throw new Error('classifierFreeGuided: condition is missing, expected one row for each image');
    if (!unconditional) return [model(x, t, condition), model(x, t, null)];
    const batch = x.shape[0];
    const row = tf.reshape(unconditional, [1, ...condition.shape.slice(1)]);
    const rows = tf.tile(row, [batch, ...condition.shape.slice(1).map(() => 1)]);
    const both = model(tf.concat([x, x], 0), tf.concat([t, t], 0), tf.concat([condition, rows], 0));
    return [tf.slice(both, 0, batch), tf.slice(both, batch, batch)];
  });
}

function guide(
  where: string,
  good: Denoiser,
  { strength, interval: { min = 0, max = Number.POSITIVE_INFINITY } = {} }: GuidanceOptions,
  goodAndBad: (...input: Parameters<Denoiser>) => [tf.Tensor4D, tf.Tensor4D],
): Denoiser {
  if (!Number.isFinite(strength)) throw new Error(`${where}: strength is ${strength}, expected a finite number`);
  if (!(min < max)) throw new Error(`${where}: interval is from ${min} to ${max}, expected min below max`);
  if (strength === 1) return good;
  return (x, t, condition) => {
    const everywhere = min <= 0 && max === Number.POSITIVE_INFINITY;
    // t is float32: a bound that is one of the sampler's levels is to be that level there, too.
    const [low, high] = [Math.fround(min), Math.fround(max)];
    const inside = everywhere ? [true] : Array.from(t.dataSync(), (level) => level > low && level <= high);
    if (!inside.includes(true)) return good(x, t, condition);
    return tf.tidy(() => {
      const [better, worse] = goodAndBad(x, t, condition);
      if (!inside.includes(false)) return sum([strength, better], [1 - strength, worse]);
      const weights = tf.tensor(
        inside.map((is) => (is ? strength : 1)),
        [inside.length, 1, 1, 1],
      );
      return tf.add(worse, tf.mul(tf.sub(better, worse), weights)) as tf.Tensor4D;
    });
  };
}
