import { expectNoLeak, onEveryBackend, readJsonFixture, unit } from '@cm/testing';
import { describe, expect, it } from 'vitest';
import {
  type FeatureMatrix,
  inceptionScore,
  kid,
  kidOverSubsets,
  manifoldMetrics,
  precisionRecall,
} from '../src/index';
import { rows } from './features';

/** Of torch-fidelity's functions (`inceptionScore`, `precision3`, `recall3`) and prdc's formulas, for features made by formula. */
const reference = readJsonFixture<{
  inceptionScore: { inception_score_mean: number; inception_score_std: number };
  precision3: number;
  recall3: number;
  prdc5: { precision: number; recall: number; density: number; coverage: number };
}>(new URL('fixtures/samples.json', import.meta.url));

const matrix = (name: string, count: number, size: number, scale = 1, offset = 0): FeatureMatrix => ({
  shape: [count, size],
  values: unit(name, [count, size]).map((value) => value * scale + offset),
});
const real = matrix('real', 300, 6);
const generated = matrix('fake', 250, 6, 0.8, 0.2);

describe('the Inception score', () => {
  it('is torch-fidelity’s', () => {
    const { mean, standardDeviation } = inceptionScore(matrix('logits', 60, 7, 2), { splits: 5, seed: null });
    expect(mean).toBeCloseTo(reference.inceptionScore.inception_score_mean, 6);
    expect(standardDeviation).toBeCloseTo(reference.inceptionScore.inception_score_std, 6);
  });

  it('is the number of classes when each image is surely of one and all are as frequent, 1 when images are alike', () => {
    const sure = Float32Array.from({ length: 12 * 4 }, (_, at) => (Math.floor(at / 4) % 4 === at % 4 ? 1000 : 0));
    expect(inceptionScore({ shape: [12, 4], values: sure }, { splits: 1 }).mean).toBeCloseTo(4, 12);
    expect(inceptionScore({ shape: [12, 4], values: new Float32Array(48) }).mean).toBeCloseTo(1, 12);
  });

  it('depends on the seed alone', () => {
    const logits = matrix('logits', 60, 7);
    expect(inceptionScore(logits)).toEqual(inceptionScore(logits, { seed: 0 }));
    expect(inceptionScore(logits, { seed: 1 })).not.toEqual(inceptionScore(logits));
  });

  it('refuses too few images, and NaN', () => {
    expect(() => inceptionScore(matrix('logits', 9, 2))).toThrow('splits is 10, expected 1 to 9, the number of images');
    const nan = { shape: [1, 1], values: Float32Array.of(Number.NaN) } as const;
    expect(() => inceptionScore(nan, { splits: 1 })).toThrow('logits hold NaN');
  });
});

onEveryBackend(() => {
  describe('precision, recall, density and coverage', () => {
    it('are torch-fidelity’s and prdc’s', async () => {
      const three = await manifoldMetrics(real, generated);
      expect(three.precision).toBeCloseTo(reference.precision3, 6);
      expect(three.recall).toBeCloseTo(reference.recall3, 6);
      const five = await manifoldMetrics(real, generated, { neighbors: 5 });
      for (const name of ['precision', 'recall', 'density', 'coverage'] as const) {
        expect(five[name], name).toBeCloseTo(reference.prdc5[name], 10);
      }
    });

    it('over many blocks are those of one pair after another in float64', async () => {
      const [a, b] = [matrix('a', 1500, 3, 1, 50), matrix('b', 1100, 3, 0.9, 50)];
      const { precision, recall } = await manifoldMetrics(a, b);
      const exact = precisionRecall(a, b);
      // A distance that equals a radius to seven digits may fall on the other side.
      expect(Math.abs(precision - exact.precision)).toBeLessThanOrEqual(1 / 1100);
      expect(Math.abs(recall - exact.recall)).toBeLessThanOrEqual(1 / 1500);
    });

    it('of a set with itself are 1, of sets far apart 0', async () => {
      const same = await manifoldMetrics(real, real);
      expect([same.precision, same.recall, same.coverage]).toEqual([1, 1, 1]);
      const far = matrix('fake', 250, 6, 0.8, 100);
      expect(await manifoldMetrics(real, far)).toEqual({ precision: 0, recall: 0, density: 0, coverage: 0 });
    });

    it('refuse what they cannot compare', async () => {
      await expect(manifoldMetrics(real, rows(generated, 0, 3))).rejects.toThrow('neighbors is 3, expected 1 to 2');
      await expect(manifoldMetrics(real, matrix('x', 5, 4))).rejects.toThrow('the features have 6 and 4 columns');
    });
  });

  describe('KID over subsets', () => {
    it('of all images is the unbiased estimate', async () => {
      const [a, b] = [rows(real, 0, 200), rows(generated, 0, 200)];
      const { mean, standardDeviation } = await kidOverSubsets(a, b, { subsets: 3, size: 200 });
      expect(Math.abs(mean / kid(a, b) - 1)).toBeLessThan(1e-5);
      expect(standardDeviation).toBeLessThan(1e-6);
    });

    it('is near it on average, and depends on the seed alone', async () => {
      const options = { subsets: 40, size: 100, seed: 3 };
      const drawn = await kidOverSubsets(real, generated, options);
      expect(await kidOverSubsets(real, generated, options)).toEqual(drawn);
      expect(Math.abs(drawn.mean - kid(real, generated))).toBeLessThan(drawn.standardDeviation);
      expect(await kidOverSubsets(real, generated, { ...options, seed: 4 })).not.toEqual(drawn);
    });

    it('refuses subsets larger than a set, and leaves nothing', async () => {
      await expect(kidOverSubsets(real, generated)).rejects.toThrow('size is 1000, expected 2 to 250');
      await expectNoLeak(async () => {
        await kidOverSubsets(real, generated, { subsets: 1, size: 10 });
        await manifoldMetrics(rows(real, 0, 9), rows(generated, 0, 9));
      });
    });
  });
});
