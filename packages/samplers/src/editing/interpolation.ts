import { normalRows, split } from '@cm/random';
import * as tf from '@tensorflow/tfjs-core';
import { type MultistepOptions, sampleMultistep } from '../consistency/multistep';
import type { Denoiser } from '../model';

/** Options of {@link sampleInterpolation}. */
export type InterpolationOptions = Omit<MultistepOptions, 'seeds' | 'noise' | 'middle'> & {
  /** Seeds of the first and the last image. */
  readonly between: readonly [first: number, last: number];
  /** Middle noise levels, as in `sampleMultistep`. All images get the same fresh noise. Default none: one step. */
  readonly middle?: readonly number[];
};

/**
 * A walk from one sample of a consistency model to another, over the noises between theirs. The batch in `shape` says how many images,
 * the ends included.
 *
 * @throws Error when an option does not fit
 * @see Song et al., Consistency Models (arXiv 2303.01469), section 6.3 and appendix D
 */
export function sampleInterpolation(model: Denoiser, options: InterpolationOptions): tf.Tensor4D {
  const { between, middle = [], ...rest } = options;
  const [count, ...size] = options.shape;
  const positions = Array.from({ length: count }, (_, i) => i / Math.max(count - 1, 1));
  return tf.tidy(() => {
    const ends = between.map((seed) => normalRows(split(options.key, 'sampler', 0), [seed], size) as tf.Tensor4D);
    const noise = interpolateNoise(ends[0]!, ends[1]!, positions);
    return sampleMultistep(model, { ...rest, middle, noise, seeds: positions.map(() => between[0]) });
  });
}

/**
 * Noises on the arc between two: sin((1 − α)ψ)/sin ψ·z_1 + sin(αψ)/sin ψ·z_2, ψ being the angle between z_1 and z_2, so that what lies between is
 * about as long as they are.
 *
 * @param first z_1, [1, height, width, channels]
 * @param last z_2, of the same shape
 * @param positions α of each result: 0 is the first, 1 the last
 * @returns [positions.length, height, width, channels]
 *
 * @example
 * ```ts
 * import { key, normal } from '@cm/random';
 * import { interpolateNoise } from '@cm/samplers';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * const shape: [number, number, number, number] = [1, 16, 16, 3];
 * const between = interpolateNoise(normal(key(0), shape), normal(key(1), shape), [0, 0.5, 1]);
 * console.log(between.shape, tf.moments(tf.slice(between, 1, 1)).variance.arraySync()); // [3, 16, 16, 3] 1.04
 * ```
 */
export function interpolateNoise(first: tf.Tensor4D, last: tf.Tensor4D, positions: readonly number[]): tf.Tensor4D {
  return tf.tidy(() => {
    const dot = (a: tf.Tensor, b: tf.Tensor) => tf.sum(tf.mul(a, b)).dataSync()[0]!;
    const cosine = dot(first, last) / Math.sqrt(dot(first, first) * dot(last, last));
    const angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
    // Equal or opposite noises have no arc between them: a straight line.
    const part = (alpha: number) => (Math.sin(angle) < 1e-6 ? alpha : Math.sin(alpha * angle) / Math.sin(angle));
    const column = (values: number[]) => tf.tensor4d(values, [values.length, 1, 1, 1]);
    const [a, b] = [column(positions.map((alpha) => part(1 - alpha))), column(positions.map(part))];
    return tf.add(tf.mul(first, a), tf.mul(last, b)) as tf.Tensor4D;
  });
}
