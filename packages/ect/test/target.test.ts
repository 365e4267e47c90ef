import { dropoutMask, key } from '@cm/random';
import {
  fixedGapSchedule,
  gridSchedule,
  inverseGap,
  logNormalNoiseLevels,
  progressiveSchedule,
  uniformWeighting,
} from '@cm/schedules';
import { expectClose, expectNoLeak, onEveryBackend, u, unit } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import {
  type ConsistencyModel,
  consistencyLoss,
  consistencyTarget,
  distillationEstimator,
  type Estimator,
  l2,
  oneSampleEstimator,
} from '../src';
import { batch, deviation, endOfPath, levels, posteriorMean, shape, tensor } from './gaussian';

const base = { weighting: uniformWeighting, iteration: 0, estimator: oneSampleEstimator() };

onEveryBackend(() => {
  describe('the target', () => {
    it('of the one-sample estimate moves x_t to x_0 + r·ε, to the bit, and asks the teacher there', () => {
      const rows = batch();
      const asked: { x: ArrayLike<number>; t: ArrayLike<number> }[] = [];
      const teacher: ConsistencyModel = (x, t) => {
        asked.push({ x: x.dataSync(), t: t.dataSync() });
        return tf.mul(x, 2);
      };
      const { target, noisy } = consistencyTarget({
        ...base,
        teacher,
        batch: rows,
        schedule: fixedGapSchedule({ fraction: 0.25 }),
      });
      const r = rows.t.map((t) => 0.75 * t);
      const moved = tf.add(rows.images, tf.mul(rows.noise, levels(r)));
      expect(asked).toHaveLength(1);
      expectClose(asked[0]!.x, moved, 0);
      expectClose(asked[0]!.t, Float32Array.from(r), 0);
      expectClose(target, tf.mul(moved, 2), 0);
      expectClose(noisy, tf.add(rows.images, tf.mul(rows.noise, levels(rows.t))), 0);
    });

    it('is the estimate where r = 0, and the teacher runs on the other rows only, under their own identities', () => {
      const rows = { ...batch(), condition: tf.tensor1d([10, 11, 12, 13, 14], 'int32') };
      const schedule = progressiveSchedule({ q: 2, d: 100 });
      const r = rows.t.map((t) => schedule(t, 0).r);
      const awake = r.flatMap((level, row) => (level > 0 ? [row] : []));
      expect(awake.length).toBeGreaterThan(0);
      expect(awake.length).toBeLessThan(rows.t.length);
      const seen: unknown[] = [];
      const teacher: ConsistencyModel = (x, _t, condition, identities) => {
        seen.push(Array.from(identities!), Array.from(condition!.dataSync()));
        return tf.fill(x.shape, 9);
      };
      const { target, stats } = consistencyTarget({ ...base, teacher, batch: rows, schedule });
      expect(seen).toEqual([awake, awake.map((row) => 10 + row)]);
      expect(stats.teacherRows).toBe(awake.length);
      const expected = tf.where(tf.greater(levels(r), 0), tf.fill(shape, 9), rows.images);
      expectClose(target, expected, 0);
    });

    it('is the estimate alone, without a teacher, where every r is 0', () => {
      const teacher: ConsistencyModel = () => {
        throw new Error('the teacher ran');
      };
      const rows = batch();
      const schedule = progressiveSchedule({ q: 2, d: 100, initialExponent: 0 });
      const { target, stats } = consistencyTarget({ ...base, teacher, batch: rows, schedule });
      expectClose(target, rows.images, 0);
      expect(stats.teacherRows).toBe(0);
    });

    it('at ECT’s first stage runs the teacher on about one row in five', () => {
      const images = tf.zeros([500, 1, 1, 1]) as tf.Tensor4D;
      // Normal quantiles would do as well: sums of twelve uniform numbers.
      const normals = Array.from({ length: 500 }, (_, i) => u(`t${i}`, 12).reduce((sum, value) => sum + value / 2, 0));
      const { stats } = consistencyTarget({
        ...base,
        teacher: (x) => tf.clone(x),
        batch: { images, noise: images, t: logNormalNoiseLevels(normals, { mean: -1.1, std: 2 }) },
        schedule: progressiveSchedule({ q: 2, d: 25_000 }),
      });
      expect(stats.teacherRows! / 500).toBeGreaterThan(0.1);
      expect(stats.teacherRows! / 500).toBeLessThan(0.3);
    });

    it('draws the student’s dropout masks in the teacher’s pass over fewer rows', () => {
      const masks: Record<number, ArrayLike<number>>[] = [];
      const model: ConsistencyModel = (x, _t, _condition, rows) => {
        const mask = dropoutMask(key(3), rows!, [2, 2, 1], 0.5);
        masks.push(Object.fromEntries(Array.from(rows!, (row, i) => [row, tf.slice(mask, i, 1).dataSync()])));
        return tf.mul(x, mask);
      };
      const schedule = progressiveSchedule({ q: 2, d: 100 });
      const target = consistencyTarget({ ...base, teacher: model, batch: batch(), schedule });
      consistencyLoss(model, target, { metric: l2() });
      const [teachers, students] = masks;
      expect(Object.keys(students!)).toHaveLength(5);
      expect(Object.keys(teachers!).length).toBeLessThan(5);
      for (const [row, mask] of Object.entries(teachers!)) expect(students![Number(row)]).toEqual(mask);
    });

    it('on a Gaussian is the closed form, with the exact denoiser as estimator and the exact model as teacher', () => {
      const rows = batch();
      const schedule = progressiveSchedule({ q: 2, d: 100 });
      const { target, noisy } = consistencyTarget({
        ...base,
        iteration: 250,
        estimator: distillationEstimator(posteriorMean),
        teacher: endOfPath,
        batch: rows,
        schedule,
      });
      // All is linear: x̂ = a·x_t, x_r = (a + (r/t)(1 − a))·x_t, D(x_r, r) = s/√(s² + r²)·x_r.
      const factors = rows.t.map((t) => {
        const { r } = schedule(t, 250);
        const a = deviation ** 2 / (deviation ** 2 + t ** 2);
        return r === 0 ? a : (deviation / Math.hypot(deviation, r)) * (a + (r / t) * (1 - a));
      });
      expectClose(target, tf.mul(noisy, levels(factors)), 1e-6);
    });

    it('of the exact estimate and model is the end of the path, to the order of the gap', () => {
      const error = (fraction: number) => {
        const { target, noisy, t } = consistencyTarget({
          ...base,
          estimator: distillationEstimator(posteriorMean),
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

    it('has the weights of gaps that t and r in float32 do not resolve', () => {
      const rows = batch();
      const { weights } = consistencyTarget({
        ...base,
        teacher: endOfPath,
        batch: rows,
        schedule: fixedGapSchedule({ fraction: 1e-9 }),
        weighting: inverseGap({ delta: 1e-9 }),
      });
      expectClose(
        tf.div(
          weights,
          rows.t.map((t) => 1 / (t * 1e-9 + 1e-9)),
        ),
        [1, 1, 1, 1, 1],
        1e-6,
      );
    });
  });

  describe('a row that is not finite', () => {
    const spoilt = (values: tf.Tensor, row: number) =>
      tf.where(tf.equal(levels([0, 1, 2, 3, 4]), row), tf.fill(shape, Number.NaN), values) as tf.Tensor4D;
    const of = (changes: object, estimator: Estimator = oneSampleEstimator()) =>
      consistencyTarget({
        ...base,
        estimator,
        teacher: endOfPath,
        batch: { ...batch(), ...changes },
        schedule: progressiveSchedule({ q: 2, d: 100 }),
      });

    it('is counted and has no weight, whichever of images, noise, estimate or teacher spoilt it', () => {
      const { images, noise } = batch();
      const targets = [
        of({ images: spoilt(images, 2) }),
        of({ noise: spoilt(noise, 0) }),
        of({}, (rows) => ({ denoised: spoilt(rows.images, 1) })),
        of({ images: tf.where(tf.equal(levels([0, 1, 2, 3, 4]), 3), tf.fill(shape, -1 / 0), images) }),
      ];
      [2, 0, 1, 3].forEach((row, i) => {
        const { weights, target, noisy, stats } = targets[i]!;
        expect(stats.badRows).toBe(1);
        expect(Array.from(weights.dataSync())).toEqual([0, 1, 2, 3, 4].map((other) => (other === row ? 0 : 1)));
        expect(tf.all(tf.isFinite(target)).dataSync()[0]).toBe(1);
        const loss = consistencyLoss(endOfPath, targets[i]!, { metric: l2() });
        expect(Number.isFinite(loss.dataSync()[0])).toBe(true);
        const clean = of({});
        const others = tf.notEqual(levels([0, 1, 2, 3, 4]), row);
        expectClose(tf.where(others, noisy, 0), tf.where(others, clean.noisy, 0), 0);
        expectClose(tf.where(others, target, 0), tf.where(others, clean.target, 0), 0);
      });
    });

    it('leaves no tensors either', async () => {
      const rows = { ...batch(), images: spoilt(batch().images, 2) };
      const schedule = fixedGapSchedule({ fraction: 0.5 });
      await expectNoLeak(() => consistencyTarget({ ...base, teacher: endOfPath, batch: rows, schedule }).dispose());
    });
  });

  it('a discrete schedule moves t to its grid, for x_t, the student and the estimator alike', () => {
    const rows = batch();
    const schedule = gridSchedule({ levels: () => 6 });
    const pairs = rows.t.map((t) => schedule(t, 0));
    const asked: unknown[] = [];
    const estimator: Estimator = ({ images, t }, _, given) => {
      asked.push(Array.from(t), given);
      return { denoised: tf.clone(images) };
    };
    const { noisy, t } = consistencyTarget({ ...base, estimator, teacher: endOfPath, batch: rows, schedule });
    const expected = pairs.map((pair) => pair.t);
    expect(expected).not.toEqual(rows.t);
    expect(asked).toEqual([expected, pairs]);
    expectClose(t, expected, 1e-7);
    expectClose(noisy, tf.add(rows.images, tf.mul(rows.noise, levels(expected))), 0);
  });

  it('reads the estimator’s numbers with its own, from the backend or not', () => {
    const estimator: Estimator = ({ images }) => ({
      denoised: tf.clone(images),
      stats: { here: 2, there: tf.scalar(3) },
    });
    const { stats } = consistencyTarget({
      ...base,
      estimator,
      teacher: endOfPath,
      batch: batch(),
      schedule: fixedGapSchedule({ fraction: 0.5 }),
    });
    expect(stats).toEqual({ here: 2, there: 3, teacherRows: 5, badRows: 0 });
  });

  it('names what does not fit the batch', () => {
    const make =
      (changes: object, others: object = {}) =>
      () =>
        consistencyTarget({
          ...base,
          teacher: endOfPath,
          batch: { ...batch(), ...changes },
          schedule: fixedGapSchedule(),
          ...others,
        });
    expect(make({ t: [1, 2] })).toThrow('consistencyTarget: t has 2 entries, expected batch 5');
    expect(make({ noise: tensor('n', [5, 2, 2, 2]) })).toThrow('noise has shape [5,2,2,2], expected [5,2,2,1]');
    expect(make({ labels: [1] })).toThrow('labels has 1 entries');
    expect(make({ indices: [1, 2, 3] })).toThrow('indices has 3 entries');
    expect(make({ condition: tf.zeros([4, 10]) })).toThrow('condition has 4 entries');
    expect(make({ t: [1, 2, 0, 4, 5] })).toThrow('t is 0');
    const single = (x: tf.Tensor4D) => tf.mean(x, 3, true) as tf.Tensor4D;
    const colour = { images: tensor('i', [5, 2, 2, 3]), noise: tensor('n', [5, 2, 2, 3]) };
    expect(make(colour, { teacher: single })).toThrow("the teacher's result has shape [5,2,2,1], expected [5,2,2,3]");
    const estimator: Estimator = ({ images }) => ({ denoised: single(images) });
    expect(make(colour, { estimator })).toThrow("the estimator's result has shape [5,2,2,1]");
    expect(make({}, { weighting: () => 1e39 })).toThrow('the weight at t = 0.05 is 1e+39');
  });

  it('a step leaves no tensors', async () => {
    const rows = { ...batch(), condition: tf.tensor2d(unit('c', [5, 3]), [5, 3]) };
    await expectNoLeak(() => {
      for (const iteration of [0, 150, 1000]) {
        const target = consistencyTarget({
          teacher: endOfPath,
          batch: rows,
          estimator: distillationEstimator(posteriorMean),
          schedule: progressiveSchedule({ q: 2, d: 100 }),
          weighting: inverseGap(),
          iteration,
        });
        tf.dispose(consistencyLoss(endOfPath, target, { metric: l2() }));
        target.dispose();
      }
    });
    expect(rows.condition.isDisposed).toBe(false);
  });
});
