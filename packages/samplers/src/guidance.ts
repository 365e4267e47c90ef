import * as tf from '@tensorflow/tfjs-core';
import type { Denoiser } from './model';

/**
 * Guidance by a second model: D = D_bad + w·(D_good − D_bad). With a sub-optimal version of the same model, such as its average at half
 * the training, this is the paper's Eq. 18, whose ω is w − 1; with the unconditional model, classifier-free guidance.
 *
 * @param strength w in Karras's convention: 1 is off (and the second model is not evaluated), above 1 pushes away from it
 */
export function guided(good: Denoiser, bad: Denoiser, { strength }: { readonly strength: number }): Denoiser {
  if (!Number.isFinite(strength)) throw new Error(`guided: strength is ${strength}, expected a finite number`);
  if (strength === 1) return good;
  return (x, t, condition) =>
    tf.tidy(() => {
      const worse = bad(x, t, condition);
      return tf.add(worse, tf.mul(tf.sub(good(x, t, condition), worse), strength)) as tf.Tensor4D;
    });
}
