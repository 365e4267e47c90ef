import type { NoisePair } from '@cm/schedules';
import * as tf from '@tensorflow/tfjs-core';
import type { Estimator } from './estimators';
import type { ConsistencyModel } from './model';

/** A step of the probability-flow ODE's numerical solution, first-order or second-order. */
export type Solver = 'euler' | 'heun';

/** Options of {@link distillationEstimator}. */
export interface DistillationOptions {
  /** Default `'euler'`, the first-order step of Eq. 9. Consistency distillation's recipe has `'heun'`. */
  readonly solver?: Solver;
  /** Solver steps n from t to r: n-step temporal-difference learning. Default 1. */
  readonly steps?: number;
  /** Guides the diffusion model by another, such as an unconditional or a weaker one: D = D_other + strength·(D − D_other). */
  readonly guidance?: { readonly model: ConsistencyModel; readonly strength: number };
}

/** Exponent of the curve σ^(1/ρ) on which the steps between t and r lie evenly. */
const rho = 7;

/** A Heun step that ends below this part of its start is taken as Euler's: its correction grows as t/r. */
const heunReach = 1 / 16;

/**
 * The estimate of consistency distillation (Eq. 9): a frozen diffusion model D_φ moves x_t to x_r by n solver steps. No variance; the model's own
 * error and the solver's are its bias. With one Euler step x̂ = D_φ(x_t, t).
 *
 * Any such step is a move x_b = x̂ + (b/a)(x_a − x̂) along an x̂ of its own, which is computed here without dividing by t − r:
 *
 *     Euler  x̂ = D(x_a, a)
 *     Heun   x̂ = D(x_a, a) + a/(2b)·(D(x_e, b) − D(x_a, a)),  x_e being where Euler's step ends
 *
 * and n moves, at levels t = t_0 > … > t_n = r evenly spaced in t^(1/7), are one along Σ w_i·x̂_i with w_i = (1/t_(i+1) − 1/t_i)/(1/r − 1/t), since
 * the ODE is d(x/t) = D·d(1/t). The weights sum to one; where r = 0 the last has everything.
 *
 * Heun's correction cannot be had at level 0 and is unstable far below t: a step to less than a sixteenth of its level is Euler's. Grids of
 * distillation never reach so far in a step. The model runs on all rows, n times (Euler) or 2n times (Heun), twice that with guidance.
 *
 * @throws RangeError when `steps` is not a whole number, at least 1, or the guidance strength is not finite
 * @see Song et al., Consistency Models (arXiv 2303.01469), Algorithm 2; Karras et al. (arXiv 2206.00364), Algorithm 1
 *
 * @example
 * ```ts
 * import { consistencyTarget, distillationEstimator } from '@cm/ect';
 * import { fixedGapSchedule, inverseGap } from '@cm/schedules';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * const diffusion = (x: tf.Tensor4D) => tf.mul(x, 0.5) as tf.Tensor4D; // yours: a pretrained denoiser
 * const target = consistencyTarget({
 *   teacher: diffusion, // yours: the student
 *   batch: { images: tf.ones([2, 2, 2, 1]), noise: tf.zeros([2, 2, 2, 1]), t: [1, 10] },
 *   estimator: distillationEstimator(diffusion, { solver: 'heun', steps: 2 }),
 *   schedule: fixedGapSchedule({ fraction: 0.5 }),
 *   weighting: inverseGap(),
 *   iteration: 0,
 * });
 * console.log(target.noisy.shape, target.stats.badRows); // [2, 2, 2, 1] 0
 * target.dispose();
 * ```
 */
export function distillationEstimator(diffusion: ConsistencyModel, options: DistillationOptions = {}): Estimator {
  const { solver = 'euler', steps = 1, guidance } = options;
  if (!(Number.isInteger(steps) && steps > 0)) {
    throw new RangeError(`distillationEstimator: steps is ${steps}, expected a whole number, at least 1`);
  }
  if (guidance && !Number.isFinite(guidance.strength)) {
    throw new RangeError(`distillationEstimator: guidance.strength is ${guidance.strength}, expected a finite number`);
  }

  return ({ condition }, noisy, pairs) => {
    const denoise = (x: tf.Tensor4D, levels: Level) => {
      const t = column(pairs, levels);
      const denoised = diffusion(x, t, condition);
      if (!guidance) return denoised;
      const other = guidance.model(x, t, condition);
      return tf.add(other, tf.mul(tf.sub(denoised, other), guidance.strength)) as tf.Tensor4D;
    };
    const move = (x: tf.Tensor4D, denoised: tf.Tensor4D, from: Level, to: Level) =>
      tf.add(
        denoised,
        tf.mul(tf.sub(x, denoised), spread(column(pairs, (pair) => to(pair) / from(pair)))),
      ) as tf.Tensor4D;

    const step = (x: tf.Tensor4D, from: Level, to: Level): tf.Tensor4D => {
      const first = denoise(x, from);
      if (solver === 'euler') return first;
      const corrects = (pair: NoisePair) => to(pair) >= heunReach * from(pair);
      const second = denoise(move(x, first, from, to), (pair) => (corrects(pair) ? to(pair) : from(pair)));
      const share = column(pairs, (pair) => (corrects(pair) ? from(pair) / (2 * to(pair)) : 0));
      return tf.add(first, tf.mul(tf.sub(second, first), spread(share))) as tf.Tensor4D;
    };

    const denoised = tf.tidy(() => {
      if (steps === 1)
        return step(
          noisy,
          ({ t }) => t,
          ({ r }) => r,
        );
      let x = noisy;
      let sum: tf.Tensor4D | undefined;
      for (let i = 0; i < steps; i++) {
        const [from, to] = [levelAt(i, steps), levelAt(i + 1, steps)];
        const estimate = step(x, from, to);
        const part = tf.mul(estimate, spread(column(pairs, (pair) => shareOf(pair, i, steps)))) as tf.Tensor4D;
        sum = sum ? tf.add(sum, part) : part;
        if (i + 1 < steps) x = move(x, estimate, from, to);
      }
      return sum!;
    });
    return { denoised };
  };
}

type Level = (pair: NoisePair) => number;

/** t_i of the n-step path from t to r. */
const levelAt =
  (i: number, steps: number): Level =>
  ({ t, r }) => {
    if (i === 0) return t;
    if (i === steps) return r;
    return (t ** (1 / rho) + (i / steps) * (r ** (1 / rho) - t ** (1 / rho))) ** rho;
  };

/** w_i of the sum of n moves. The last one is what the others leave, so that they sum to one at the smallest gaps too. */
function shareOf(pair: NoisePair, i: number, steps: number): number {
  const share = (i: number) => {
    const [a, b] = [levelAt(i, steps)(pair), levelAt(i + 1, steps)(pair)];
    return ((pair.r / b) * (pair.t / a) * (a - b)) / pair.gap;
  };
  if (i < steps - 1) return share(i);
  let rest = 1;
  for (let before = 0; before < i; before++) rest -= share(before);
  return rest;
}

const column = (pairs: readonly NoisePair[], level: Level) => tf.tensor1d(Float32Array.from(pairs, level));
const spread = (values: tf.Tensor1D) => tf.reshape(values, [-1, 1, 1, 1]);
