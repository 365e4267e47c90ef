import { fixedGapSchedule, gridSchedule, type NoisePair, progressiveSchedule } from '@cm/schedules';
import { expectClose, expectNoLeak, onEveryBackend } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { type ConsistencyModel, type DistillationOptions, distillationEstimator } from '../src';
import { batch, deviation, levels, posteriorMean } from './gaussian';

/** Where the estimate takes x_t. */
function moved(pairs: readonly NoisePair[], options: DistillationOptions = {}, model = posteriorMean) {
  const rows = batch();
  const t = pairs.map((pair) => pair.t);
  const noisy = tf.add(rows.images, tf.mul(rows.noise, levels(t))) as tf.Tensor4D;
  const { denoised } = distillationEstimator(model, options)({ ...rows, t }, noisy, pairs);
  const ratio = levels(pairs.map(({ t, r }) => r / t));
  return { noisy, denoised, end: tf.add(denoised, tf.mul(ratio, tf.sub(noisy, denoised))) };
}

/** Largest distance from the true trajectory, x_t·√((s² + r²)/(s² + t²)). */
function error(fraction: number, options: DistillationOptions): number {
  const pairs = batch().t.map((t) => fixedGapSchedule({ fraction })(t, 0));
  const { noisy, end } = moved(pairs, options);
  const truth = tf.mul(noisy, levels(pairs.map(({ t, r }) => Math.hypot(deviation, r) / Math.hypot(deviation, t))));
  return tf.max(tf.abs(tf.sub(end, truth))).dataSync()[0]!;
}

onEveryBackend(() => {
  it('x_r is on the true trajectory, to the order of the solver', () => {
    const ratio = (solver: 'euler' | 'heun', steps = 1) =>
      error(0.4, { solver, steps }) / error(0.2, { solver, steps });
    // Errors of one step: the second order of the gap, and the third.
    expect(ratio('euler')).toBeGreaterThan(3);
    expect(ratio('euler')).toBeLessThan(5);
    expect(ratio('heun')).toBeGreaterThan(6);
    expect(ratio('heun', 3)).toBeGreaterThan(6);
  });

  it('n steps come nearer: as 1/n by Euler’s, 1/n² by Heun’s', () => {
    const gain = (solver: 'euler' | 'heun') => error(0.7, { solver, steps: 4 }) / error(0.7, { solver, steps: 8 });
    expect(gain('euler')).toBeGreaterThan(1.8);
    expect(gain('euler')).toBeLessThan(2.4);
    expect(gain('heun')).toBeGreaterThan(3.3);
  });

  it('n steps are the solver’s, one after another', () => {
    // On the grid t^(1/7), in float64, for a model that is linear in x.
    const pairs = batch().t.map((t) => fixedGapSchedule({ fraction: 0.9 })(t, 0));
    const factor = ({ t, r }: NoisePair, solver: 'euler' | 'heun') => {
      let x = 1;
      const level = (i: number) => (t ** (1 / 7) + (i / 3) * (r ** (1 / 7) - t ** (1 / 7))) ** 7;
      const slope = (value: number, at: number) => (value - (value * deviation ** 2) / (deviation ** 2 + at ** 2)) / at;
      for (let i = 0; i < 3; i++) {
        const [a, b] = [level(i), level(i + 1)];
        const euler = x + (b - a) * slope(x, a);
        x = solver === 'euler' ? euler : x + ((b - a) * (slope(x, a) + slope(euler, b))) / 2;
      }
      return x;
    };
    for (const solver of ['euler', 'heun'] as const) {
      const { noisy, end } = moved(pairs, { solver, steps: 3 });
      expectClose(end, tf.mul(noisy, levels(pairs.map((pair) => factor(pair, solver)))), 1e-6);
    }
  });

  it('one Euler step is the model’s own estimate, whatever r', () => {
    const pairs = batch().t.map((t) => progressiveSchedule({ q: 2, d: 10 })(t, 0));
    const { noisy, denoised } = moved(pairs);
    expectClose(denoised, posteriorMean(noisy, tf.tensor1d(batch().t)), 0);
  });

  it('a step to 0, or nearly, is Euler’s, and n steps there end at the last estimate', () => {
    const pairs = batch().t.map((t, row) => ({ t, r: row % 2 ? 0 : 1e-9, ratio: 0, gap: t, edge: 0 }));
    expectClose(moved(pairs, { solver: 'heun' }).denoised, moved(pairs).denoised, 0);
    const { noisy, denoised } = moved(pairs, { solver: 'heun', steps: 40 });
    // 40 steps all but solve the ODE: the end of the path.
    expectClose(denoised, tf.mul(noisy, levels(pairs.map(({ t }) => deviation / Math.hypot(deviation, t)))), 2e-2);
  });

  it('keeps its digits at gaps that float32 does not resolve', () => {
    const pairs = batch().t.map((t) => fixedGapSchedule({ fraction: 1e-9 })(t, 0));
    const { noisy, denoised } = moved(pairs, { solver: 'heun', steps: 3 });
    expectClose(denoised, posteriorMean(noisy, tf.tensor1d(batch().t)), 2e-6);
  });

  it('is guided away from the other model', () => {
    const other: ConsistencyModel = (x) => tf.mul(x, 0.1);
    const pairs = batch().t.map((t) => fixedGapSchedule()(t, 0));
    const { noisy, denoised } = moved(pairs, { guidance: { model: other, strength: 1.5 } });
    const own = posteriorMean(noisy, tf.tensor1d(batch().t));
    expectClose(denoised, tf.sub(tf.mul(own, 1.5), tf.mul(noisy, 0.05)), 1e-6);
  });

  it('asks the model at the levels of the pairs, with the condition', () => {
    const condition = tf.tensor1d([1, 2, 3, 4, 5]);
    const asked: number[][] = [];
    const model: ConsistencyModel = (x, t, given) => {
      expect(given).toBe(condition);
      asked.push(Array.from(t.dataSync()));
      return tf.clone(x);
    };
    const pairs = batch().t.map((t) => gridSchedule({ levels: () => 18 })(t, 0));
    const rows = { ...batch(), condition };
    distillationEstimator(model, { solver: 'heun' })(rows, rows.images, pairs);
    expect(asked).toEqual([pairs.map(({ t }) => Math.fround(t)), pairs.map(({ r }) => Math.fround(r))]);
  });

  it('leaves no tensors but the estimate', async () => {
    const rows = batch();
    const pairs = rows.t.map((t) => fixedGapSchedule()(t, 0));
    const guidance = { model: posteriorMean, strength: 2 };
    await expectNoLeak(() => {
      for (const solver of ['euler', 'heun'] as const)
        for (const steps of [1, 3])
          tf.dispose({
            ...distillationEstimator(posteriorMean, { solver, steps, guidance })(rows, rows.images, pairs),
          });
    });
  });

  it('refuses options out of range', () => {
    expect(() => distillationEstimator(posteriorMean, { steps: 0 })).toThrow(
      'distillationEstimator: steps is 0, expected',
    );
    const guidance = { model: posteriorMean, strength: Number.NaN };
    expect(() => distillationEstimator(posteriorMean, { guidance })).toThrow('guidance.strength is NaN');
  });
});
