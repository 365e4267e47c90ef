import { valueAndGrads } from '@cm/gradients';
import { fixedGapSchedule, inverseGap } from '@cm/schedules';
import { expectClose, onEveryBackend } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import {
  type ConsistencyTarget,
  consistencyLoss,
  consistencyTarget,
  type Metric,
  oneSampleEstimator,
  pseudoHuber,
} from '../src';
import { batch, endOfPath } from './gaussian';

const make = (): ConsistencyTarget =>
  consistencyTarget({
    teacher: endOfPath,
    batch: batch(),
    estimator: oneSampleEstimator(),
    schedule: fixedGapSchedule({ fraction: 0.5 }),
    weighting: inverseGap({ delta: 0.1 }),
    iteration: 0,
  });

onEveryBackend(() => {
  it('is the weighted mean of the metric, and its gradient that of the definition', () => {
    const target = make();
    const loss = (scale: number) => {
      const d = tf.reshape(tf.sub(tf.mul(target.noisy, scale), target.target), [5, -1]);
      const huber = tf.sub(tf.sqrt(tf.add(tf.sum(tf.square(d), 1), 0.09)), 0.3);
      const weights = target.pairs.map(({ t }) => 1 / (0.5 * t + 0.1));
      return tf.mean(tf.mul(huber, weights)).dataSync()[0]!;
    };
    const { value, grads } = valueAndGrads(
      ({ scale }) => consistencyLoss((x) => tf.mul(x, scale!), target, { metric: pseudoHuber({ c: 0.3 }) }),
      { scale: tf.scalar(0.8) },
    );
    expectClose(value, [loss(0.8)], 1e-5);
    expectClose(grads.scale!, [(loss(0.801) - loss(0.799)) / 0.002], 2e-3);
  });

  it('asks the model once, for all rows under their own places', () => {
    const asked: number[][] = [];
    consistencyLoss(
      (x, _t, _condition, rows) => {
        asked.push(Array.from(rows!));
        return tf.clone(x);
      },
      make(),
      { metric: pseudoHuber({ c: 0 }) },
    );
    expect(asked).toEqual([[0, 1, 2, 3, 4]]);
  });

  it('refuses results that would be broadcast', () => {
    const metric = pseudoHuber({ c: 0 });
    expect(() => consistencyLoss((x) => tf.mean(x, 0, true) as tf.Tensor4D, make(), { metric })).toThrow(
      "consistencyLoss: the model's result has shape [1,2,2,1], expected [5,2,2,1]",
    );
    const whole = ((x, y) => tf.sum(tf.squaredDifference(x, y))) as Metric;
    expect(() => consistencyLoss(endOfPath, make(), { metric: whole })).toThrow(
      "the metric's result has shape [], expected [5]",
    );
  });
});
