import * as tf from '@tensorflow/tfjs-core';
import type { Denoiser } from '../src';
import { advance, type BeforeStep, type Solver, type Space } from '../src/solver';

/** One-dimensional data whose denoiser is exact: E[x_0 | x_t] of a mixture of normal distributions. */
export interface Problem {
  readonly name: string;
  denoise(x: number, t: number): number;
}

interface Component {
  readonly weight: number;
  readonly mean: number;
  readonly deviation: number;
}

export function mixture(name: string, components: readonly Component[]): Problem {
  return {
    name,
    denoise(x, t) {
      const logs = components.map(({ weight, mean, deviation }) => {
        const variance = deviation ** 2 + t ** 2;
        return Math.log(weight) - 0.5 * Math.log(variance) - (x - mean) ** 2 / (2 * variance);
      });
      const top = Math.max(...logs);
      const weights = logs.map((log) => Math.exp(log - top));
      const total = weights.reduce((a, b) => a + b);
      return components.reduce((sum, { mean, deviation }, i) => {
        const variance = deviation ** 2;
        return sum + (weights[i]! / total) * (mean + (variance / (variance + t ** 2)) * (x - mean));
      }, 0);
    },
  };
}

export const gaussianProblem = mixture('Gaussian', [{ weight: 1, mean: 0.3, deviation: 0.5 }]);
export const mixtureProblem = mixture('mixture', [
  { weight: 0.4, mean: -1, deviation: 0.3 },
  { weight: 0.6, mean: 0.7, deviation: 0.4 },
]);

/** Float64 numbers as solvers see them. `evaluations` has the noise levels at which the denoiser was asked. */
export function numbers(problem: Problem, noises: () => number = () => 0) {
  const evaluations: number[] = [];
  const space: Space<number> = {
    sum: (...terms) => terms.reduce((total, [coefficient, x]) => total + coefficient * x, 0),
    denoise: (x, t) => {
      evaluations.push(t);
      return problem.denoise(x, t);
    },
    noise: noises,
  };
  return { space, evaluations };
}

/** Runs a solver over a grid. */
export function solve<X>(
  space: Space<X>,
  start: X,
  levels: readonly number[],
  method: { solver: Solver; before?: BeforeStep | undefined },
): X {
  let state = { x: start, memory: [] as readonly X[] };
  for (let i = 0; i + 1 < levels.length; i++) state = advance(space, state, levels, i, method);
  return state.x;
}

/** The path's point at `to`, by so many fourth-order Runge-Kutta steps in ln t that float64 shows no error. */
export function exactEnd({ denoise }: Problem, start: number, from: number, to: number, steps = 20_000): number {
  const h = Math.log(to / from) / steps;
  let x = start;
  for (let i = 0; i < steps; i++) {
    const z = Math.log(from) + i * h;
    const slope = (y: number, at: number) => y - denoise(y, Math.exp(at));
    const k1 = slope(x, z);
    const k2 = slope(x + (h / 2) * k1, z + h / 2);
    const k3 = slope(x + (h / 2) * k2, z + h / 2);
    const k4 = slope(x + h * k3, z + h);
    x += (h / 6) * (k1 + 2 * k2 + 2 * k3 + k4);
  }
  return x;
}

const wide = (t: tf.Tensor1D) => tf.reshape(t, [-1, 1, 1, 1]);

/** Standard deviation of the data that {@link gaussian} and {@link pathEnd} are exact for. */
export const deviation = 0.5;

/** The exact denoiser of data x_0 ~ N(0, s²). */
export const gaussian: Denoiser = (x, t) =>
  tf.mul(x, tf.div(deviation ** 2, tf.add(tf.square(wide(t)), deviation ** 2))) as tf.Tensor4D;

/** The exact end of the same data's path: an exact consistency model. */
export const pathEnd: Denoiser = (x, t) =>
  tf.mul(x, tf.mul(deviation, tf.rsqrt(tf.add(tf.square(wide(t)), deviation ** 2)))) as tf.Tensor4D;

/** A model that records the noise levels it is asked at. */
export function counted(model: Denoiser) {
  const calls: number[] = [];
  const counting: Denoiser = (x, t, condition) => {
    calls.push(t.dataSync()[0]!);
    return model(x, t, condition);
  };
  return { calls, model: counting };
}
