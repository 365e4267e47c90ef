import { normalArray, normalRows, split } from '@cm/random';
import { edmWeighting, type LogNormalOptions, logNormalNoiseLevels } from '@cm/schedules';
import * as tf from '@tensorflow/tfjs-core';
import { partOf, type TrainingObjective } from './objective';

/** Options of {@link diffusionObjective}. */
export interface DiffusionObjectiveOptions {
  /** Log-normal noise levels. */
  readonly noise: LogNormalOptions;
  /** Standard deviation of the data. Default 0.5. */
  readonly sigmaData?: number;
}

/**
 * EDM's denoising loss (Karras et al., arXiv 2206.00364, Eq. 2, Table 1): the mean over rows of λ(t) times the mean over values of
 * (D(x_0 + t·ε, t) − x_0)², λ(t) = (t² + σ_d²)/(t·σ_d)². It makes the diffusion models that consistency tuning starts from.
 *
 * @example
 * ```ts
 * import { adam } from '@cm/optimizers';
 * import { key } from '@cm/random';
 * import { diffusionObjective, initialState, trainingStep } from '@cm/trainer';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * // A network of one parameter; any other is three such functions.
 * const network = {
 *   denoiser: ({ scale }: tf.NamedTensorMap) => (x: tf.Tensor4D) => tf.mul(x, scale!) as tf.Tensor4D,
 * };
 * const optimizer = adam();
 * const state = initialState({ params: { scale: tf.scalar(0) }, optimizer, averages: {}, key: key(0) });
 * const settings = {
 *   network,
 *   objective: diffusionObjective({ noise: { mean: -1.2, std: 1.2 } }),
 *   optimizer,
 *   averages: {},
 *   learningRate: () => 0.01,
 * };
 * const next = trainingStep(settings, state, { images: tf.ones([4, 2, 2, 1]), indices: Int32Array.of(0, 1, 2, 3) });
 * console.log(next.state.step, next.state.params.scale!.arraySync()); // 1 0.01
 * ```
 */
export function diffusionObjective({ noise: range, sigmaData = 0.5 }: DiffusionObjectiveOptions): TrainingObjective {
  const weighting = edmWeighting({ sigmaData });
  return ({ batch, condition, key }) => {
    const { images } = batch;
    const [count, ...shape] = images.shape;
    const { first, total } = partOf(batch);
    const levels = logNormalNoiseLevels(normalArray(split(key, 't'), total).slice(first, first + count), range);
    const weights = levels.map((t) => weighting({ t, r: 0, ratio: 0, gap: t, edge: 0 }) / total);
    const rows = Array.from({ length: count }, (_, row) => first + row);
    const noisy = tf.tidy(() => {
      const noise = normalRows(split(key, 'noise'), rows, shape);
      return tf.add(images, tf.mul(noise, tf.tensor(levels, [count, 1, 1, 1]))) as tf.Tensor4D;
    });
    return {
      loss: (model, begin, end) =>
        tf.tidy(() => {
          const part = <T extends tf.Tensor>(all: T) => tf.slice(all, begin, end - begin);
          const t = tf.tensor1d(levels.slice(begin, end));
          const denoised = model(part(noisy), t, condition && part(condition), rows.slice(begin, end));
          const errors = tf.mean(tf.squaredDifference(denoised, part(images)), [1, 2, 3]);
          return tf.sum(tf.mul(errors, tf.tensor1d(weights.slice(begin, end)))) as tf.Scalar;
        }),
      stats: {},
      dispose: () => tf.dispose(noisy),
    };
  };
}
