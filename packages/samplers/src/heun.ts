import { karrasGrid } from '@cm/schedules';
import * as tf from '@tensorflow/tfjs-core';
import { type Denoiser, prepare, type SampleOptions } from './model';

/** Options of {@link sampleHeun}. */
export interface HeunOptions extends SampleOptions {
  /** Steps; the sampler evaluates the model 2·steps − 1 times. */
  readonly steps: number;
  /** Last noise level before 0. Default 0.002. */
  readonly sigmaMin?: number;
  /** Exponent of the noise grid. Default 7. */
  readonly rho?: number;
}

/**
 * EDM's deterministic sampler of diffusion models (Karras et al. 2022, Algorithm 1): the probability-flow ODE dx/dt = (x − D(x, t))/t by
 * Heun's second-order steps over the Karras grid; the last step, to t = 0, is Euler's.
 *
 * @throws Error when an option does not fit
 */
export function sampleHeun(model: Denoiser, options: HeunOptions): tf.Tensor4D {
  const { steps, sigmaMin = 0.002, rho = 7 } = options;
  const { noise, denoise, finished, sigmaMax } = prepare('sampleHeun', model, options);
  const levels = steps === 1 ? [sigmaMax, 0] : karrasGrid({ steps, sigmaMin, sigmaMax, rho });
  return tf.tidy(() => {
    let x = tf.mul(noise(0), sigmaMax) as tf.Tensor4D;
    for (let i = 0; i + 1 < levels.length; i++) {
      const [t, next] = [levels[i]!, levels[i + 1]!];
      x = tf.tidy(() => {
        const denoised = denoise(x, t);
        // Euler's step to 0 ends at the denoised image itself.
        if (next === 0) return denoised;
        const slope = tf.div(tf.sub(x, denoised), t);
        const euler = tf.add(x, tf.mul(slope, next - t)) as tf.Tensor4D;
        const slopeThere = tf.div(tf.sub(euler, denoise(euler, next)), next);
        return tf.add(x, tf.mul(tf.add(slope, slopeThere), (next - t) / 2)) as tf.Tensor4D;
      });
      finished(i, levels.length - 1, x);
    }
    return x;
  });
}
