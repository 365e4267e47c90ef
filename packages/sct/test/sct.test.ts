import { consistencyLoss, consistencyTarget, oneSampleEstimator, pseudoHuber } from '@cm/ect';
import { inverseGap, progressiveSchedule } from '@cm/schedules';
import { referenceSet, stableTarget } from '@cm/stable-target';
import { expectClose, expectNoLeak, onEveryBackend, unit } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { sctRecipes, stableTargetEstimator } from '../src';

const tensor = (name: string, shape: number[]) =>
  tf.tensor4d(unit(name, shape), shape as [number, number, number, number]);
const model = (x: tf.Tensor4D, t: tf.Tensor1D) => tf.div(x, tf.add(1, tf.reshape(t, [-1, 1, 1, 1]))) as tf.Tensor4D;

onEveryBackend(() => {
  it('SCT with one reference and ECT’s schedule is ECT, to the bit', () => {
    for (const t of [0.01, 0.7, 30]) {
      const batch = { images: tensor('x', [1, 2, 2, 1]), noise: tensor('e', [1, 2, 2, 1]), t: [t] };
      const [ect, sct] = [oneSampleEstimator(), stableTargetEstimator({ references: 'batch' })].map((estimator) => {
        const target = consistencyTarget({
          teacher: model,
          batch,
          estimator,
          schedule: progressiveSchedule({ q: 2, d: 100 }),
          weighting: inverseGap(),
          iteration: 250,
        });
        const loss = consistencyLoss(model, target, { metric: pseudoHuber({ c: 0.03 }) });
        return [target.noisy, target.target, target.weights, loss].map((result) => Array.from(result.dataSync()));
      });
      expect(sct).toEqual(ect);
    }
  });

  it('the estimate is the posterior mean over the references, own samples by their indices', () => {
    const images = tensor('r', [10, 2, 2, 1]);
    const references = referenceSet({ images, labels: [0, 1, 0, 1, 0, 1, 0, 1, 0, 1] });
    const indices = [3, 8, -1];
    const x0 = tf.concat(
      [tf.gather(images, tf.tensor1d([3, 8], 'int32')), tensor('other', [1, 2, 2, 1])],
      0,
    ) as tf.Tensor4D;
    const batch = { images: x0, noise: tensor('e', [3, 2, 2, 1]), t: [0.5, 1, 2], indices, labels: [1, 0, 1] };
    const { denoised, stats } = stableTargetEstimator({ references })(batch, x0, []);
    const expected = stableTarget({ references, x0, noise: batch.noise, t: batch.t, ownIndex: indices });
    expectClose(denoised, expected.posteriorMean, 0);
    expectClose(stats!.effectiveSampleSize as tf.Scalar, tf.mean(expected.effectiveSampleSize), 1e-6);
    const ofClass = stableTargetEstimator({ references, classConditional: true })(batch, x0, []).denoised;
    const same = stableTarget({
      references,
      x0,
      noise: batch.noise,
      t: batch.t,
      ownIndex: indices,
      labels: batch.labels,
    });
    expectClose(ofClass, same.posteriorMean, 0);
    const { labels: _, ...unlabelled } = batch;
    expect(() => stableTargetEstimator({ references, classConditional: true })(unlabelled, x0, [])).toThrow(
      'no labels',
    );
  });

  it('leaves no tensors but the estimate', async () => {
    const batch = { images: tensor('x', [4, 2, 2, 1]), noise: tensor('e', [4, 2, 2, 1]), t: [1, 2, 3, 4] };
    const estimator = stableTargetEstimator({ references: 'batch' });
    await expectNoLeak(() => {
      const { denoised, stats } = estimator(batch, batch.images, []);
      tf.dispose([denoised, stats!.effectiveSampleSize as tf.Scalar]);
    });
  });

  it('over the batch of all processes, rows count once, wherever they are in it', () => {
    const all = tensor('all', [6, 2, 2, 1]);
    const noise = tensor('e', [6, 2, 2, 1]);
    const labels = [0, 1, 0, 1, 0, 1];
    const t = [0.3, 0.6, 1, 2, 4, 8];
    const whole = stableTargetEstimator({ references: 'batch', classConditional: true });
    const expected = whole({ images: all, noise, t, labels }, all, []).denoised;
    const part = <T extends tf.Tensor>(x: T) => tf.slice(x, 2, 3) as T;
    const batch = {
      images: part(all),
      noise: part(noise),
      t: t.slice(2, 5),
      labels: labels.slice(2, 5),
      indices: [7, 8, 9],
    };
    const gathered = stableTargetEstimator({
      references: () => ({ images: tf.clone(all), labels, ownIndex: [2, 3, 4] }),
      classConditional: true,
    });
    expectClose(gathered(batch, batch.images, []).denoised, part(expected), 1e-6);
  });

  it('a soft prior of no weight for other classes is the class', () => {
    const images = tensor('r', [10, 2, 2, 1]);
    const labels = Array.from({ length: 10 }, (_, i) => i % 2);
    const references = referenceSet({ images, labels });
    const rows = [3, 8, 5];
    const x0 = tf.gather(images, tf.tensor1d(rows, 'int32')) as tf.Tensor4D;
    const batch = { images: x0, noise: tensor('e', [3, 2, 2, 1]), t: [0.5, 1, 2], indices: rows, labels: [1, 0, 1] };
    const prior = () =>
      tf.tensor2d(batch.labels.map((label) => labels.map((other) => (other === label ? 0 : Number.NEGATIVE_INFINITY))));
    const soft = stableTargetEstimator({ references, logPrior: prior })(batch, x0, []).denoised;
    const hard = stableTargetEstimator({ references, classConditional: true })(batch, x0, []).denoised;
    expectClose(soft, hard, 1e-6);
  });

  it('an augmented row counts beside the references', () => {
    const references = referenceSet({ images: tensor('r', [10, 2, 2, 1]) });
    const x0 = tensor('mirrored', [1, 2, 2, 1]);
    const batch = { images: x0, noise: tensor('e', [1, 2, 2, 1]), t: [1e-3], indices: [-1] };
    expectClose(stableTargetEstimator({ references })(batch, x0, []).denoised, x0, 0);
  });

  it('no way of having references leaves tensors', async () => {
    const images = tensor('r', [10, 2, 2, 1]);
    const batch = { images: tensor('x', [2, 2, 2, 1]), noise: tensor('e', [2, 2, 2, 1]), t: [1, 2], labels: [0, 1] };
    const set = referenceSet({ images, labels: Array.from({ length: 10 }, (_, i) => i % 2) });
    const gather = () => ({ images: tf.clone(images), labels: set.labels!, ownIndex: [-1, -1] });
    const estimators = [
      stableTargetEstimator({ references: set, classConditional: true }),
      stableTargetEstimator({ references: 'batch', classConditional: true }),
      stableTargetEstimator({ references: gather, classConditional: true }),
      stableTargetEstimator({ references: gather }),
      stableTargetEstimator({ references: set, logPrior: () => tf.zeros<tf.Rank.R2>([2, 10]) }),
    ];
    await expectNoLeak(() => {
      for (const estimator of estimators) {
        const { denoised, stats } = estimator(batch, batch.images, []);
        tf.dispose([denoised, stats!.effectiveSampleSize as tf.Scalar]);
      }
    });
  });
});

it('recipes go by their names, and shrink the gap at ECT’s overall rate from ECT’s start', () => {
  for (const [name, recipe] of Object.entries(sctRecipes)) {
    expect(recipe.name).toBe(name);
    if (!('q' in recipe.schedule)) continue;
    const imagenet = name.includes('imagenet');
    const ect = progressiveSchedule({ q: imagenet ? 4 : 2, d: 25_000 });
    for (const iteration of [0, 25_000, 75_000]) {
      expect(progressiveSchedule(recipe.schedule)(3, iteration).gap).toBeCloseTo(ect(3, iteration).gap, 12);
    }
  }
});
