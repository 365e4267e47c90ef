import type { ConsistencyModel, Estimator } from '@cm/ect';
import { oneSampleEstimator, pseudoHuber } from '@cm/ect';
import { adam, powerFunctionEma } from '@cm/optimizers';
import { dropoutMask, key, normal, normalRows } from '@cm/random';
import { inverseGap, inverseSquareRoot, logNormalNoiseLevels, progressiveSchedule } from '@cm/schedules';
import { stableTargetEstimator } from '@cm/sct';
import * as tf from '@tensorflow/tfjs-core';
import {
  type BatchSource,
  consistencyObjective,
  initialState,
  type TrainableNetwork,
  type TrainerOptions,
} from '../src';

const pixels = 4;
const hidden = 8;

/** A denoiser small enough for any backend: x − t·f(x, t), f a perceptron with dropout, by row. */
export const network: TrainableNetwork = {
  denoiser:
    (weights, dropout): ConsistencyModel =>
    (x, t, _, rows) =>
      tf.tidy(() => {
        const count = x.shape[0];
        const level = tf.reshape(t, [count, 1]);
        const scaled = tf.div(tf.reshape(x, [count, pixels]), tf.sqrt(tf.add(tf.square(level), 1)));
        let y: tf.Tensor2D = tf.relu(
          tf.matMul(tf.concat([scaled, tf.log(level)], 1) as tf.Tensor2D, weights.in! as tf.Tensor2D),
        );
        if (dropout) y = tf.mul(y, dropoutMask(dropout, rows!, [hidden], 0.2));
        return tf.sub(
          x,
          tf.mul(tf.reshape(tf.matMul(y, weights.out! as tf.Tensor2D), x.shape), tf.reshape(t, [count, 1, 1, 1])),
        ) as tf.Tensor4D;
      }),
};

/** Parameters that depend on nothing. */
export const params = (): tf.NamedTensorMap => {
  const matrix = (seed: number, rows: number, columns: number) =>
    tf.tidy(() => tf.mul(normal(key(seed), [rows, columns]), 0.5));
  return { in: matrix(1, pixels + 1, hidden), out: matrix(2, hidden, pixels) };
};

/** Batches of 2 × 2 images in [−1, 1] by position. */
export const data = (batchSize: number): BatchSource => ({
  batchAt: (position) => ({
    images: tf.tidy(() =>
      tf.tanh(
        normalRows(
          key(3),
          Array.from({ length: batchSize }, (_, row) => (position * batchSize + row) % 100),
          [2, 2, 1],
        ),
      ),
    ) as tf.Tensor4D,
  }),
});

export const objective = (references: 'batch' | 'none' | Estimator = 'batch') =>
  consistencyObjective({
    estimator:
      typeof references === 'function'
        ? references
        : references === 'batch'
          ? stableTargetEstimator({ references })
          : oneSampleEstimator(),
    schedule: progressiveSchedule({ q: 2, d: 8 }),
    weighting: inverseGap({ delta: 1e-3 }),
    metric: pseudoHuber({ c: 0.03 }),
    noiseLevels: (normals) => logNormalNoiseLevels(normals, { mean: -0.5, std: 1.2 }),
    stage: (step) => Math.floor(step / 8),
  });

/** All that a trainer needs of a run of 24 steps of 8 images, its state new. */
export function run(): Omit<TrainerOptions, 'state'> & { newState: () => TrainerOptions['state'] } {
  const optimizer = adam({ beta2: 0.99 });
  const averages = { '0.050': powerFunctionEma({ sigmaRel: 0.05 }), '0.100': powerFunctionEma({ sigmaRel: 0.1 }) };
  return {
    network,
    objective: objective(),
    optimizer,
    averages,
    learningRate: inverseSquareRoot({ lr: 0.01, referenceSteps: 10, warmupSteps: 3 }),
    data: data(8),
    batchSize: 8,
    totalImages: 24 * 8,
    newState: () => {
      const initial = params();
      const state = initialState({ params: initial, optimizer, averages, key: key(7) });
      tf.dispose(initial);
      return state;
    },
  };
}

/** Every number of a state, by name. */
export function numbersOf({ params, optimizer, averages, ...rest }: TrainerOptions['state']) {
  const of = (map: tf.NamedTensorMap) =>
    Object.fromEntries(Object.entries(map).map(([name, tensor]) => [name, Array.from(tensor.dataSync())]));
  const { seconds: _, ...position } = rest;
  return {
    ...position,
    params: of(params),
    optimizer: { step: optimizer.step, m: of(optimizer.m), v: of(optimizer.v) },
    averages: Object.fromEntries(Object.entries(averages).map(([name, map]) => [name, of(map)])),
  };
}
