import { valueAndGrads } from '@cm/gradients';
import { fixedGapSchedule, inverseGap, phaseGrid, progressiveSchedule, uniformWeighting } from '@cm/schedules';
import { expectClose, expectNoLeak, onEveryBackend, unit } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import {
  type ConsistencyModel,
  consistencyLoss,
  consistencyTarget,
  type Estimator,
  l1,
  l2,
  oneSampleEstimator,
  pseudoHuber,
  squaredL2,
} from '../src';

const shape: [number, number, number, number] = [5, 2, 2, 1];
const tensor = (name: string, of: number[] = shape) =>
  tf.tensor4d(unit(name, of), of as [number, number, number, number]);
const levels = (values: ArrayLike<number>) => tf.reshape(tf.tensor1d(Array.from(values)), [-1, 1, 1, 1]);

/** The exact denoiser of data x_0 ~ N(0, s²): E[x_0 | x_t] = x_t·s²/(s² + t²); its ODE ends at x_t·s/√(s² + t²). */
const deviation = 0.5;
const posteriorMean = (x: tf.Tensor, t: tf.Tensor) =>
  tf.mul(x, tf.div(deviation ** 2, tf.add(tf.square(tf.reshape(t, [-1, 1, 1, 1])), deviation ** 2)));
const endOfPath: ConsistencyModel = (x, t) =>
  tf.mul(
    x,
    tf.mul(deviation, tf.rsqrt(tf.add(tf.square(tf.reshape(t, [-1, 1, 1, 1])), deviation ** 2))),
  ) as tf.Tensor4D;

const batch = () => ({
  images: tf.mul(tensor('x0'), deviation) as tf.Tensor4D,
  noise: tensor('noise'),
  t: [0.05, 0.3, 1, 4, 40],
});

onEveryBackend(() => {
  describe('the target', () => {
    const base = { weighting: uniformWeighting, iteration: 0, estimator: oneSampleEstimator() };

    it('of the one-sample estimate moves x_t to x_0 + r·ε and asks the teacher there', () => {
      const rows = batch();
      const schedule = fixedGapSchedule({ fraction: 0.25 });
      let asked: { x: Float32Array; t: Float32Array } | undefined;
      const teacher: ConsistencyModel = (x, t) => {
        asked = { x: x.dataSync() as Float32Array, t: t.dataSync() as Float32Array };
        return tf.mul(x, 2);
      };
      const { target, noisy } = consistencyTarget({ ...base, teacher, batch: rows, schedule });
      const r = rows.t.map((t) => 0.75 * t);
      const moved = tf.add(rows.images, tf.mul(rows.noise, levels(r)));
      expectClose(asked!.x, moved, 1e-6);
      expectClose(asked!.t, r, 1e-6);
      expectClose(target, tf.mul(moved, 2), 1e-6);
      expectClose(noisy, tf.add(rows.images, tf.mul(rows.noise, levels(rows.t))), 1e-6);
    });

    it('is the estimate where r = 0, and the teacher runs on the other rows only, under their own identities', () => {
      const rows = batch();
      const schedule = progressiveSchedule({ q: 2, d: 100 });
      const r = rows.t.map((t) => schedule(t, 0).r);
      const awake = r.flatMap((level, row) => (level > 0 ? [row] : []));
      expect(awake.length).toBeGreaterThan(0);
      expect(awake.length).toBeLessThan(rows.t.length);
      let seen: number[] = [];
      const teacher: ConsistencyModel = (x, _t, _condition, identities) => {
        seen = Array.from(identities!);
        return tf.fill(x.shape, 9);
      };
      const { target, stats } = consistencyTarget({ ...base, teacher, batch: rows, schedule });
      expect(seen).toEqual(awake);
      expect(stats.teacherRows).toBe(awake.length);
      const expected = tf.where(tf.greater(levels(r), 0), tf.fill(shape, 9), rows.images);
      expectClose(target, expected, 0);
    });

    it('of the exact estimate and model is the end of the path, to the order of the gap', () => {
      const exact: Estimator = ({ t }, noisy) => ({
        denoised: posteriorMean(noisy, tf.tensor1d(Array.from(t))) as tf.Tensor4D,
      });
      const error = (fraction: number) => {
        const { target, noisy, t } = consistencyTarget({
          ...base,
          estimator: exact,
          teacher: endOfPath,
          batch: batch(),
          schedule: fixedGapSchedule({ fraction }),
        });
        return tf.max(tf.abs(tf.sub(target, endOfPath(noisy, t)))).dataSync()[0]!;
      };
      // One Euler step: an error of the second order.
      expect(error(0.1) / error(0.05)).toBeGreaterThan(3.2);
      expect(error(0.1) / error(0.05)).toBeLessThan(5);
    });

    it('in phases lets student and teacher reach the same point of the edge', () => {
      const rows = batch();
      const phases = phaseGrid([80, 2, 0.1, 0]);
      const schedule = progressiveSchedule({ q: 2, d: 100, phases });
      const teacher: ConsistencyModel = (x) => tf.mul(x, 0.3);
      const { target, noisy, pairs } = consistencyTarget({ ...base, teacher, batch: rows, schedule });
      pairs.forEach(({ t, r, edge }, row) => {
        const of = (x: tf.Tensor4D) => tf.slice(x, [row, 0, 0, 0], [1, -1, -1, -1]);
        const [xt, x0] = [of(noisy), of(rows.images)];
        const xr = tf.add(x0, tf.mul(tf.sub(xt, x0), r / t));
        const reach = (x: tf.Tensor, denoised: tf.Tensor, from: number) =>
          tf.add(denoised, tf.mul(tf.sub(x, denoised), edge / from));
        const teachers = r > edge ? reach(xr, tf.mul(xr, 0.3), r) : xr;
        expectClose(reach(xt, of(target), t), teachers, 2e-5);
      });
      expect(new Set(pairs.map(({ edge }) => edge))).toEqual(new Set([0, 0.1, 2]));
    });

    it('of a row that is not finite is left out and counted', () => {
      const rows = batch();
      const estimator: Estimator = ({ images }) => ({
        denoised: tf.where(tf.equal(levels([0, 1, 2, 3, 4]), 2), tf.fill(shape, Number.NaN), images) as tf.Tensor4D,
      });
      const { weights, target, stats } = consistencyTarget({
        ...base,
        estimator,
        teacher: endOfPath,
        batch: rows,
        schedule: fixedGapSchedule({ fraction: 0.5 }),
      });
      expect(stats.badRows).toBe(1);
      expectClose(weights, [1, 1, 0, 1, 1], 0);
      expect(tf.all(tf.isFinite(target)).dataSync()[0]).toBe(1);
    });

    it('names what does not fit the batch', () => {
      const make = (changes: object) => () =>
        consistencyTarget({
          ...base,
          teacher: endOfPath,
          batch: { ...batch(), ...changes },
          schedule: fixedGapSchedule(),
        });
      expect(make({ t: [1, 2] })).toThrow('consistencyTarget: t has 2 entries, expected batch 5');
      expect(make({ noise: tensor('n', [5, 2, 2, 2]) })).toThrow('noise has shape [5,2,2,2], expected [5,2,2,1]');
      expect(make({ labels: [1] })).toThrow('labels has 1 entries');
    });
  });

  describe('the loss', () => {
    it('is the weighted mean of the metric, and its gradient that of the definition', () => {
      const rows = batch();
      const target = consistencyTarget({
        teacher: endOfPath,
        batch: rows,
        estimator: oneSampleEstimator(),
        schedule: fixedGapSchedule({ fraction: 0.5 }),
        weighting: inverseGap({ delta: 0.1 }),
        iteration: 0,
      });
      const params = { scale: tf.scalar(0.8) };
      const loss = (scale: number) => {
        const d = tf.reshape(tf.sub(tf.mul(target.noisy, scale), target.target), [5, -1]);
        const huber = tf.sub(tf.sqrt(tf.add(tf.sum(tf.square(d), 1), 0.09)), 0.3);
        const weights = rows.t.map((t) => 1 / (0.5 * t + 0.1));
        return tf.mean(tf.mul(huber, weights)).dataSync()[0]!;
      };
      const { value, grads } = valueAndGrads(
        ({ scale }) => consistencyLoss((x) => tf.mul(x, scale!), target, { metric: pseudoHuber({ c: 0.3 }) }),
        params,
      );
      expectClose(value, [loss(0.8)], 1e-5);
      expectClose(grads.scale!, [(loss(0.801) - loss(0.799)) / 0.002], 2e-3);
    });

    it('has no gradient where prediction and target agree, with any metric', () => {
      const x = tensor('x');
      for (const metric of [l2(), l1(), squaredL2(), pseudoHuber({ c: 0.1 })]) {
        const { value, grads } = valueAndGrads(({ x: p }) => tf.sum(metric(p as tf.Tensor4D, x)) as tf.Scalar, { x });
        expectClose(value, [0], 0);
        expectClose(grads.x!, new Float32Array(20), 0);
      }
    });

    it('of the L2 metric is the norm, and its gradient the direction', () => {
      const [x, y] = [tensor('x'), tensor('y')];
      const { value, grads } = valueAndGrads(({ x: p }) => tf.sum(l2()(p as tf.Tensor4D, y)) as tf.Scalar, { x });
      const d = tf.sub(x, y);
      const norms = tf.sqrt(tf.sum(tf.square(d), [1, 2, 3]));
      expectClose(value, tf.sum(norms), 1e-6);
      expectClose(grads.x!, tf.div(d, tf.reshape(norms, [-1, 1, 1, 1])), 1e-6);
      expect(() => pseudoHuber({ c: -1 })).toThrow('c is -1');
    });
  });

  it('a step leaves no tensors', async () => {
    const rows = batch();
    await expectNoLeak(() => {
      const target = consistencyTarget({
        teacher: endOfPath,
        batch: rows,
        estimator: oneSampleEstimator(),
        schedule: progressiveSchedule({ q: 2, d: 100 }),
        weighting: inverseGap(),
        iteration: 150,
      });
      const loss = consistencyLoss(endOfPath, target, { metric: l2() });
      tf.dispose(loss);
      target.dispose();
    });
  });
});
