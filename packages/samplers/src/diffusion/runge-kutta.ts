import * as tf from '@tensorflow/tfjs-core';
import { level, that, whole } from '../check';
import type { Denoiser, SampleOptions } from '../model';
import { type ImageSpace, imageSpace, report, startingPoint } from '../run';

/** Options of {@link sampleRungeKutta45}. */
export interface RungeKuttaOptions extends SampleOptions {
  /** The noise level at which adaptive steps end and the last evaluation denoises. Default 0.002. */
  readonly sigmaMin?: number;
  /** A step is accepted where the root mean square of error/(atol + rtol·|x|) over an image's values is at most 1. Default 1e-3. */
  readonly rtol?: number;
  readonly atol?: number;
  /** The most evaluations, the last one included. Default 1000. */
  readonly maxEvaluations?: number;
}

// Dormand and Prince's pair of orders 5 and 4. The last stage of a step is the first of the next.
const stages = [
  [1 / 5],
  [3 / 40, 9 / 40],
  [44 / 45, -56 / 15, 32 / 9],
  [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729],
  [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656],
  [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84],
];
const times = [1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1];
/** Weights of order 5 less those of order 4. */
const errorWeights = [71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40];

/**
 * Adaptive Runge-Kutta 4(5) of Dormand and Prince, on the probability-flow ODE in z = ln t, dx/dz = x − D(x, e^z), from σ_max to σ_min; a last
 * evaluation denoises from there. Every image has its own step sizes, so that it does not depend on the others of its batch:
 * the model is called with different noise levels in one batch. One evaluation at first, six for each attempted step, one at the end.
 *
 * @throws Error when an option does not fit, or `maxEvaluations` do not suffice
 * @see Dormand and Prince 1980; Song et al. (arXiv 2011.13456), appendix D.4, who sample so
 */
export function sampleRungeKutta45(model: Denoiser, options: RungeKuttaOptions): tf.Tensor4D {
  const where = 'sampleRungeKutta45';
  const { sigmaMin = 0.002, sigmaMax = 80, rtol = 1e-3, atol = 1e-3, maxEvaluations = 1000, onStep } = options;
  level(where, 'sigmaMax', sigmaMax);
  level(where, 'sigmaMin', sigmaMin);
  that(where, 'sigmaMin', sigmaMin, sigmaMin < sigmaMax, `below sigmaMax, ${sigmaMax}`);
  level(where, 'rtol', rtol);
  level(where, 'atol', atol);
  whole(where, 'maxEvaluations', maxEvaluations, 8);
  const space = imageSpace(where, model, options);
  const end = Math.log(sigmaMin);
  const z = new Array<number>(options.shape[0]).fill(Math.log(sigmaMax));
  const h = z.map((from) => (end - from) / 20);
  let x = startingPoint(space, options, sigmaMax);
  let slope: tf.Tensor4D | undefined;
  try {
    slope = slopeAt(space, x, z);
    let evaluations = 1;
    let index = 0;
    for (; z.some((at) => at > end); index++) {
      evaluations += 6;
      if (evaluations + 1 > maxEvaluations) {
        throw new Error(`${where}: maxEvaluations is ${maxEvaluations}, and noise level ${sigmaMin} was not reached`);
      }
      // An image that has arrived waits with steps of 0 for the others.
      const steps = z.map((at, i) => Math.max(h[i]!, end - at));
      const attempt = tf.tidy(() => tryStep(space, x, slope!, z, steps, { rtol, atol }));
      const errors = attempt.errors.dataSync();
      const accepted = z.map((_, i) => errors[i]! <= 1);
      z.forEach((at, i) => {
        if (accepted[i]) z[i] = h[i]! <= end - at ? end : at + steps[i]!;
        // Towards an error of 1, which goes with the fifth power of the step; NaN shortens.
        const factor = errors[i]! > 0 ? 0.9 * errors[i]! ** -0.2 : errors[i] === 0 ? 5 : 0.2;
        h[i] = steps[i]! === 0 ? h[i]! : steps[i]! * Math.min(5, Math.max(0.2, factor));
      });
      const chosen = tf.tensor(accepted, [accepted.length, 1, 1, 1], 'bool');
      const next = tf.tidy(() => tf.where(chosen, attempt.x, x));
      const nextSlope = tf.tidy(() => tf.where(chosen, attempt.slope, slope!));
      tf.dispose([x, slope, chosen, attempt.x, attempt.slope, attempt.errors]);
      [x, slope] = [next, nextSlope];
      // x − D is the slope.
      const denoised = tf.sub(x, slope) as tf.Tensor4D;
      const noiseLevel = Math.exp(Math.max(...z));
      report(onStep, { index, count: Number.POSITIVE_INFINITY, noiseLevel, x, denoised }, []);
    }
    const images = tf.tidy(() => space.denoise(x, sigmaMin));
    tf.dispose([x, slope]);
    x = images;
    report(onStep, { index, count: index + 1, noiseLevel: 0, x, denoised: images }, [images]);
    return images;
  } catch (error) {
    tf.dispose([x, ...(slope ? [slope] : [])]);
    throw error;
  }
}

const column = (values: readonly number[]) => tf.tensor4d([...values], [values.length, 1, 1, 1]);

function slopeAt(space: ImageSpace, x: tf.Tensor4D, z: readonly number[]): tf.Tensor4D {
  return tf.tidy(() => tf.sub(x, space.denoiseAt(x, tf.tensor1d(z.map(Math.exp)))) as tf.Tensor4D);
}

function tryStep(
  space: ImageSpace,
  x: tf.Tensor4D,
  slope: tf.Tensor4D,
  z: readonly number[],
  h: readonly number[],
  { rtol, atol }: { rtol: number; atol: number },
) {
  const steps = column(h);
  const slopes = [slope];
  let there = x;
  stages.forEach((weights, i) => {
    const terms = weights.map((weight, j) => [weight, slopes[j]!] as const);
    there = tf.add(x, tf.mul(space.sum(...terms), steps)) as tf.Tensor4D;
    const at = z.map((from, row) => from + times[i]! * h[row]!);
    slopes.push(slopeAt(space, there, at));
  });
  const error = tf.mul(space.sum(...errorWeights.map((weight, i) => [weight, slopes[i]!] as const)), steps);
  const scale = tf.add(tf.mul(tf.maximum(tf.abs(x), tf.abs(there)), rtol), atol);
  const errors = tf.sqrt(tf.mean(tf.square(tf.div(error, scale)), [1, 2, 3]));
  return { x: there, slope: slopes[6]!, errors };
}
