import {
  type ConsistencyModel,
  consistencyLoss,
  consistencyTarget,
  type Objective,
  objectiveOf,
  type Recipe,
} from '@cm/ect';
import { referenceSet } from '@cm/stable-target';
import { expectClose, onEveryBackend, unit } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { describeRecipe, estimatorOf, type RecipeName, recipes } from '../src';

// The formulas of the publications, written again in float64, for one image of four values.

type Row = number[];
type Pair = { t: number; r: number; s: number };

/** Eq. 15, and 17 with edges. */
const progressive =
  (q: number, d: number, start: number, edges: number[] = [0]) =>
  (t: number, k: number): Pair => {
    const s = edges.find((edge) => edge < t)!;
    const n = 1 + 8 / (1 + Math.exp(t));
    return { t, r: Math.max(1 - n / q ** (Math.floor(k / d) + start), 0) * (t - s) + s, s };
  };
const fixed = (t: number): Pair => ({ t, r: t - t / 256, s: 0 });
const sigma = (i: number, n: number) =>
  (0.002 ** (1 / 7) + ((i - 1) / (n - 1)) * (80 ** (1 / 7) - 0.002 ** (1 / 7))) ** 7;
/** Neighbours on a grid of N(k) levels; with edges, r stops at the edge. */
const neighbours =
  (levels: (k: number) => number, edges: number[] = [0]) =>
  (drawn: number, k: number): Pair => {
    const n = levels(k);
    let i = 1;
    while (i < n - 1 && sigma(i + 1, n) < drawn) i++;
    const t = sigma(i + 1, n);
    const s = edges.find((edge) => edge < t - 1e-12)!;
    return { t, r: Math.max(sigma(i, n), s), s };
  };
const ctLevels = (s1: number) => (k: number) => Math.ceil(Math.sqrt((k / 800_000) * ((s1 + 1) ** 2 - 4) + 4) - 1) + 1;
const ictLevels = (period: number) => (k: number) => Math.min(10 * 2 ** Math.floor(k / period), 1280) + 1;
const mcmLevels = (k: number) =>
  Math.round(Math.exp(Math.log(64) + Math.min(k / 1e5, 1) * (Math.log(1280) - Math.log(64)))) + 1;
/** Inner edges of phases: evenly spaced in σ^(1/7) between 80 and 0.002. */
const edgesOf = (n: number) => [...Array.from({ length: n - 1 }, (_, i) => sigma(n - i, n + 1)), 0];

const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
const huber = (c: number) => (a: Row, b: Row) => Math.sqrt(sum(a.map((v, i) => (v - b[i]!) ** 2)) + c * c) - c;
/** The distance of LPIPS for the features (v, v²) of each pixel. */
const lpips = (a: Row, b: Row) => {
  const of = (v: number) => [v / Math.hypot(v, v * v), (v * v) / Math.hypot(v, v * v)] as const;
  return sum(a.map((v, i) => (of(v)[0] - of(b[i]!)[0]) ** 2 + (of(v)[1] - of(b[i]!)[1]) ** 2)) / a.length;
};
const features = (x: tf.Tensor4D) => [tf.concat([x, tf.square(x)], 3) as tf.Tensor4D];

const gap =
  (delta = 0) =>
  ({ t, r }: Pair) =>
    1 / (t - r + delta);
const edm = ({ t }: Pair) => (t * t + 0.25) / (t * 0.5) ** 2;

/** The data: x_0 of the batch, and more images of the same set. */
const set = Array.from({ length: 7 }, (_, i) => Array.from(unit(`image${i}`, [4]), (v) => 0.5 * v));
const labels = [0, 1, 0, 1, 0, 1, 0];
const own = [2, 3, 6];
const noise = own.map((_, row) => Array.from(unit(`noise${row}`, [4])));

/** Denoiser of N(0, 1/4). */
const gaussian = (x: number, t: number) => (x * 0.25) / (0.25 + t * t);
const student = (v: number) => 0.7 * v;
const teacher = (v: number) => 0.3 * v;

type Move = (row: number, noisy: Row, pair: Pair) => Row;
const oneSample: Move = (row, _, { r }) => set[own[row]!]!.map((x, i) => x + r * noise[row]![i]!);
/** Song et al., Algorithm 2 with Heun's step of dx/dt = (x − D)/t. */
const heun: Move = (_, noisy, { t, r }) =>
  noisy.map((x) => {
    const slope = (x - gaussian(x, t)) / t;
    const euler = x + (r - t) * slope;
    return x + ((r - t) * (slope + (euler - gaussian(euler, r)) / r)) / 2;
  });
/** Eq. 14 without the 1/n, over the images of which `counts` says so. */
const posterior =
  (counts: (row: number, i: number) => boolean): Move =>
  (row, noisy, { t, r }) => {
    const among = set.filter((_, i) => counts(row, i));
    const logits = among.map((x) => -sum(x.map((v, i) => (noisy[i]! - v) ** 2)) / (2 * t * t));
    const top = Math.max(...logits);
    const weights = logits.map((logit) => Math.exp(logit - top));
    const mean = noisy.map((_, i) => sum(among.map((x, j) => x[i]! * weights[j]!)) / sum(weights));
    return noisy.map((x, i) => mean[i]! + (r / t) * (x - mean[i]!));
  };
const inBatch = posterior((_, i) => own.includes(i));
const inBatchOfClass = posterior((row, i) => own.includes(i) && labels[i] === labels[own[row]!]);
const all = posterior(() => true);
const allOfClass = posterior((row, i) => labels[i] === labels[own[row]!]);

interface Formulas {
  pair: (t: number, k: number) => Pair;
  weight: (pair: Pair) => number;
  distance: (a: Row, b: Row) => number;
  move: Move;
}

const one = () => 1;
const ect = { pair: progressive(2, 25_000, 1), weight: gap(), distance: huber(0), move: oneSample };
const ect64 = { pair: progressive(4, 25_000, 1), weight: edm, distance: huber(0.06), move: oneSample };
const sct = { ...ect, pair: progressive(2 ** 0.25, 6250, 4), weight: gap(1e-4), move: inBatch };
const sct64 = { ...ect64, pair: progressive(4 ** 0.25, 6250, 4), weight: gap(1e-4), move: allOfClass };
const cond = { ...sct, move: inBatchOfClass };
const ict = {
  pair: neighbours(ictLevels(50_000)),
  weight: gap(),
  distance: huber(0.00054 * Math.sqrt(3072)),
  move: oneSample,
};
const ict64 = { ...ict, pair: neighbours(ictLevels(100_000)), distance: huber(0.00054 * Math.sqrt(12_288)) };
const mcm = (phases: number) => ({
  pair: neighbours(mcmLevels, phases > 1 ? edgesOf(phases) : [0]),
  weight: ({ t }: Pair) => 1 / (t * t) + 1,
  distance: huber(0.00054 * Math.sqrt(12_288)),
  move: oneSample,
});
const published: Record<RecipeName, Formulas> = {
  'cd-cifar10': { pair: neighbours(() => 18), weight: one, distance: lpips, move: heun },
  'cd-imagenet64': { pair: neighbours(() => 40), weight: one, distance: lpips, move: heun },
  'ct-cifar10': { pair: neighbours(ctLevels(150)), weight: one, distance: lpips, move: oneSample },
  'ct-imagenet64': { pair: neighbours(ctLevels(200)), weight: one, distance: lpips, move: oneSample },
  'ict-cifar10': ict,
  'ict-cifar10-deep': ict,
  'ict-imagenet64': ict64,
  'ict-imagenet64-deep': ict64,
  'mcm-imagenet64-1': mcm(1),
  'mcm-imagenet64-2': mcm(2),
  'mcm-imagenet64-4': mcm(4),
  'ect-cifar10': ect,
  'ect-cifar10-fixed': { ...ect, pair: fixed },
  'ect-cifar10-one-hour': { ...ect, pair: progressive(256, 1e6, 1) },
  'ect-imagenet64-s': ect64,
  'ect-imagenet64-m': ect64,
  'ect-imagenet64-l': ect64,
  'ect-imagenet64-xl': ect64,
  'sct-cifar10': sct,
  'sct-cifar10-star': sct,
  'sct-cifar10-4-phases': { ...sct, pair: progressive(2 ** 0.25, 6250, 4, edgesOf(4)) },
  'sct-cifar10-8-phases': { ...sct, pair: progressive(2 ** 0.25, 6250, 4, edgesOf(8)) },
  'sct-cifar10-cond': cond,
  'sct-cifar10-cond-star': cond,
  'sct-cifar10-fixed': { ...ect, pair: fixed, move: inBatch },
  'sct-cifar10-fixed-all': { ...ect, pair: fixed, move: all },
  'sct-imagenet64-s': sct64,
  'sct-imagenet64-m': sct64,
  'sct-imagenet64-m-star': sct64,
};

/** x_s = D + (s/t)(x − D), Eq. 16. */
const toEdge = (x: Row, denoised: Row, ratio: number) => x.map((v, i) => denoised[i]! + ratio * (v - denoised[i]!));

function reference({ pair, weight, distance, move }: Formulas, levels: number[], k: number) {
  return levels.map((level, row) => {
    const at = pair(level, k);
    const { t, r, s } = at;
    const noisy = set[own[row]!]!.map((x, i) => x + t * noise[row]![i]!);
    const moved = move(row, noisy, at);
    // At the edge there is nothing left to learn from: x_r is the target.
    const target = r > s ? toEdge(moved, moved.map(teacher), s / r) : moved;
    return { ...at, weight: weight(at), distance: distance(toEdge(noisy, noisy.map(student), s / t), target) };
  });
}

const shape = [3, 2, 2, 1] as [number, number, number, number];
const rows = (values: Row[]) => tf.tensor4d(values.flat(), shape);
const scaled =
  (f: (v: number) => number): ConsistencyModel =>
  (x) =>
    tf.mul(x, f(1));
const diffusion = (x: tf.Tensor4D, t: tf.Tensor1D) =>
  tf.mul(x, tf.reshape(tf.div(0.25, tf.add(0.25, tf.square(t))), [-1, 1, 1, 1])) as tf.Tensor4D;

const expectEach = (actual: number[], expected: number[], tolerance: number) =>
  expected.forEach((value, i) => {
    expect(Math.abs(actual[i]! - value)).toBeLessThanOrEqual(tolerance * Math.abs(value));
  });

onEveryBackend(() => {
  describe('a recipe’s t, r, weights and loss are the publication’s', () => {
    for (const [name, formulas] of Object.entries(published)) {
      it(name, () => {
        const recipe: Recipe = recipes[name as RecipeName];
        const references = referenceSet({ images: tf.tensor4d(set.flat(), [7, 2, 2, 1]), labels });
        const objective: Objective = objectiveOf(recipe, { perceptual: { features } });
        const estimator = estimatorOf(recipe, { diffusion, references });
        for (const k of [0, Math.floor(recipe.steps / 3), recipe.steps - 1]) {
          const t = [0.06, 0.9, 11];
          const target = consistencyTarget({
            ...objective,
            estimator,
            teacher: scaled(teacher),
            batch: {
              images: rows(own.map((i) => set[i]!)),
              noise: rows(noise),
              t,
              labels: own.map((i) => labels[i]!),
              indices: own,
            },
            iteration: k,
          });
          const loss = consistencyLoss(scaled(student), target, objective);
          const expected = reference(formulas, t, k);
          expectEach(
            target.pairs.map((pair) => pair.t),
            expected.map((row) => row.t),
            1e-9,
          );
          expectEach(
            target.pairs.map((pair) => pair.r),
            expected.map((row) => row.r),
            1e-9,
          );
          expectEach(
            Array.from(target.weights.dataSync()),
            expected.map((row) => row.weight),
            1e-6,
          );
          expectClose(loss, [sum(expected.map(({ weight, distance }) => weight * distance)) / 3], 1e-6);
          target.dispose();
        }
        references.dispose();
      });
    }
  });
});

describe('the recipes', () => {
  it('are plain data, go by their names, and all have formulas above', () => {
    expect(JSON.parse(JSON.stringify(recipes))).toEqual(recipes);
    for (const [name, recipe] of Object.entries(recipes)) expect(recipe.name).toBe(name);
    expect(Object.keys(published).sort()).toEqual(Object.keys(recipes).sort());
  });

  it('say which row of which table they reproduce', () => {
    for (const recipe of Object.values(recipes)) expect(recipe.reproduces).toMatch(/^(Table [23], |Fig\. 4, |no row)/);
  });

  it('draw noise levels from normal numbers', () => {
    expect(objectiveOf(recipes['ect-cifar10']).noiseLevels([0.5])[0]).toBeCloseTo(Math.exp(-1.1 + 2 * 0.5), 6);
    const median = ((80 ** (1 / 7) + 0.002 ** (1 / 7)) / 2) ** 7;
    expect(objectiveOf(recipes['mcm-imagenet64-4']).noiseLevels([0])[0]).toBeCloseTo(median, 6);
  });

  it('teach by the student, by an average, or by one that slows down with the curriculum', () => {
    const decay = (name: RecipeName, k: number) =>
      objectiveOf(recipes[name], { perceptual: { features } }).targetDecay(k);
    expect(decay('sct-cifar10', 1000)).toBe(0);
    expect(decay('cd-imagenet64', 1000)).toBe(0.95);
    expect(decay('ct-cifar10', 0)).toBeCloseTo(0.9, 12);
    expect(decay('ct-cifar10', 800_000)).toBeCloseTo(0.9 ** (2 / 151), 12);
  });

  it('say what they need', () => {
    expect(() => objectiveOf(recipes['cd-cifar10'])).toThrow(
      'objectiveOf: perceptual is missing, expected the features of LPIPS',
    );
    expect(() => estimatorOf(recipes['cd-cifar10'])).toThrow(
      'estimatorOf: diffusion is missing, expected for cd-cifar10',
    );
    expect(() => estimatorOf(recipes['sct-cifar10-fixed-all'])).toThrow('references is missing');
  });

  it('are described in full', () => {
    for (const name of Object.keys(recipes) as RecipeName[]) {
      const text = describeRecipe(name);
      expect(text.split('\n')[0]).toBe(name);
      expect(text).toContain(recipes[name].source);
      expect(text).not.toMatch(/undefined|NaN|\[object/);
    }
    expect(describeRecipe('sct-cifar10-star')).toContain(
      'FID 2.92 (2.78 with guidance) in 1 step, 2.02 (1.94 with guidance) in 2 steps',
    );
    expect(describeRecipe({ ...recipes['ect-cifar10'], name: 'mine', batchSize: 64 })).toMatch(
      /^mine\n.*64 × 200,000/s,
    );
    expect(() => describeRecipe('sct' as RecipeName)).toThrow(
      'describeRecipe: name is sct, expected one of cd-cifar10',
    );
  });
});
