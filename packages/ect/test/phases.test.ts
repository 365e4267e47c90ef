import {
  fixedGapSchedule,
  inverseGap,
  phaseGrid,
  progressiveSchedule,
  uniformWeighting,
  type Weighting,
} from '@cm/schedules';
import { expectClose, expectNoLeak, onEveryBackend } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import {
  type ConsistencyModel,
  consistencyLoss,
  consistencyTarget,
  distillationEstimator,
  l2,
  oneSampleEstimator,
} from '../src';
import { batch, deviation, levels, posteriorMean, shape, tensor } from './gaussian';

const phases = phaseGrid([80, 2, 0.1, 0]);
const base = { weighting: uniformWeighting, iteration: 0, estimator: oneSampleEstimator() };
const third: ConsistencyModel = (x) => tf.mul(x, 0.3);

/** x_s = D + (s/t)(x − D), Eq. 16. */
const euler = (x: tf.Tensor, denoised: tf.Tensor, ratio: tf.Tensor) =>
  tf.add(denoised, tf.mul(ratio, tf.sub(x, denoised)));

onEveryBackend(() => {
  it('student and teacher reach the same point of their phase’s edge', () => {
    const rows = batch();
    const schedule = progressiveSchedule({ q: 2, d: 100, phases });
    const { target, noisy, pairs, stats } = consistencyTarget({ ...base, teacher: third, batch: rows, schedule });
    pairs.forEach(({ t, r, edge }, row) => {
      const of = (x: tf.Tensor4D) => tf.slice(x, [row, 0, 0, 0], [1, -1, -1, -1]);
      const moved = euler(of(noisy), of(rows.images), tf.scalar(r / t));
      const teachers = r > edge ? euler(moved, tf.mul(moved, 0.3), tf.scalar(edge / r)) : moved;
      expectClose(euler(of(noisy), of(target), tf.scalar(edge / t)), teachers, 2e-6);
    });
    expect(new Set(pairs.map(({ edge }) => edge))).toEqual(new Set([0, 0.1, 2]));
    expect(stats.teacherRows).toBe(pairs.filter(({ r, edge }) => r > edge).length);
  });

  it('one phase is the plain objective, to the bit', () => {
    const [plain, phased] = [{}, { phases: phaseGrid([80, 0]) }].map((more) => {
      const schedule = progressiveSchedule({ q: 2, d: 100, ...more });
      const target = consistencyTarget({ ...base, iteration: 250, teacher: third, batch: batch(), schedule });
      const loss = consistencyLoss(posteriorMean, target, { metric: l2() });
      return [target.target, target.weights, loss].map((tensor) => Array.from(tensor.dataSync()));
    });
    expect(phased).toEqual(plain);
  });

  it('rows of the last phase, among others, have the plain target, to the bit', () => {
    const rows = batch();
    const row = 0;
    expect(phases.edgeBelow(rows.t[row]!)).toBe(0);
    const [plain, phased] = [{}, { phases }].map((more) => {
      const schedule = fixedGapSchedule({ fraction: 0.3, ...more });
      const { target } = consistencyTarget({ ...base, teacher: third, batch: rows, schedule });
      return Array.from(tf.slice(target, row, 1).dataSync());
    });
    expect(phased).toEqual(plain);
  });

  it('the exact phased model is a fixed point, to the order of the gap', () => {
    // Where the path from x_t crosses its edge, x_s = x_t·√((v + s²)/(v + t²)), solved for D by Eq. 16.
    const exact: ConsistencyModel = (x, t) => {
      const factors = Array.from(t.dataSync(), (level) => {
        const edge = phases.edgeBelow(level);
        const reached = Math.sqrt((deviation ** 2 + edge ** 2) / (deviation ** 2 + level ** 2));
        return (reached - edge / level) / (1 - edge / level);
      });
      return tf.mul(x, levels(factors));
    };
    const loss = (fraction: number) => {
      const target = consistencyTarget({
        ...base,
        estimator: distillationEstimator(posteriorMean),
        teacher: exact,
        batch: batch(),
        schedule: fixedGapSchedule({ fraction, phases }),
      });
      return consistencyLoss(exact, target, { metric: l2() }).dataSync()[0]!;
    };
    expect(loss(0.1) / loss(0.05)).toBeGreaterThan(3.2);
    expect(loss(0.1) / loss(0.05)).toBeLessThan(5);
  });

  // Just above the edge at 2, x_s and x_t nearly agree.
  const near = () => {
    const t = Float32Array.from([1e-1, 1e-3, 1e-5, 1e-6, 2e-7].map((part) => 2 * (1 + part)));
    return { images: tensor('x0'), noise: tensor('noise'), t };
  };
  const atEdge = (weighting: Weighting) =>
    consistencyTarget({
      weighting,
      estimator: oneSampleEstimator(),
      teacher: third,
      batch: near(),
      schedule: progressiveSchedule({ q: 2, d: 100, phases }),
      iteration: 600,
    });

  it('nothing cancels near an edge', () => {
    const { target, pairs } = atEdge(uniformWeighting);
    const rows = near();
    const w = levels(pairs.map(({ t, r, edge }) => (1 - edge / r) / (1 - edge / t)));
    const r = levels(pairs.map((pair) => pair.r));
    const taught = tf.mul(tf.add(rows.images, tf.mul(rows.noise, r)), 0.3);
    expectClose(target, tf.add(tf.mul(taught, w), tf.mul(rows.images, tf.sub(1, w))), 1e-6);
  });

  it('no row outweighs the others near an edge, with the weighting 1/(t − r)', () => {
    const target = atEdge(inverseGap());
    // A prediction one off everywhere: each row's part of the loss is then √4/(t·(1 − ratio)).
    const parts = target.pairs.map((_, row) => {
      const shift = levels(target.pairs.map((_, other) => Number(other === row)));
      const model: ConsistencyModel = () => tf.add(target.target, shift);
      return consistencyLoss(model, target, { metric: l2() }).dataSync()[0]!;
    });
    expectClose(
      parts,
      target.pairs.map(({ t, ratio }) => 2 / (t * (1 - ratio)) / 5),
      1e-5,
    );
  });

  it('leaves no tensors', async () => {
    const rows = batch();
    await expectNoLeak(() => {
      const schedule = progressiveSchedule({ q: 2, d: 100, phases });
      const target = consistencyTarget({ ...base, iteration: 150, teacher: third, batch: rows, schedule });
      tf.dispose(consistencyLoss(third, target, { metric: l2() }));
      target.dispose();
    });
    expect(rows.images.shape).toEqual(shape);
  });
});
