import type { ConsistencySchedule, NoisePair, Weighting } from '@cm/schedules';
import * as tf from '@tensorflow/tfjs-core';
import { checkBatch, expectShape } from './check';
import type { Estimator } from './estimators';
import type { ConsistencyModel, TrainingBatch } from './model';

/** What {@link consistencyTarget} is computed from. */
export interface ConsistencyTargetOptions {
  /** The model that the target comes from: the student's current weights, or an average of them. It gets no gradient. */
  readonly teacher: ConsistencyModel;
  readonly batch: TrainingBatch;
  /** The estimate of E[x_0 | x_t] that moves x_t to x_r. */
  readonly estimator: Estimator;
  /** t and r of each row (Eq. 15, or Eq. 17 with phases), given the batch's t. */
  readonly schedule: ConsistencySchedule;
  /** Weight of a row in the loss. */
  readonly weighting: Weighting;
  /** Training iteration, counted from 0. */
  readonly iteration: number;
}

/** What the student is asked for, without gradient. `dispose` frees the tensors it owns: all but the condition. */
export interface ConsistencyTarget {
  /** x_t [batch, height, width, channels]. */
  readonly noisy: tf.Tensor4D;
  /** [batch]. */
  readonly t: tf.Tensor1D;
  readonly condition?: tf.Tensor;
  /** What D(x_t, t) is to be, shaped like `noisy`. */
  readonly target: tf.Tensor4D;
  /** 1 − s/t of each row [batch]: by how much of D's change x_s changes (Eq. 16). Absent where every edge s is 0, when it is 1. */
  readonly reach?: tf.Tensor1D;
  /** Weight of each row, [batch]; 0 where the row was not finite. */
  readonly weights: tf.Tensor1D;
  /** t, r and their gap of each row. */
  readonly pairs: readonly NoisePair[];
  /** `teacherRows`: rows on which the teacher ran; `badRows`: rows left out for a NaN or ∞; and the estimator's own. */
  readonly stats: Readonly<Record<string, number>>;
  /** Frees all tensors but the condition. */
  dispose(): void;
}

/**
 * The training target of the consistency objective (Eq. 6): with x_t = x_0 + t·ε and the estimate x̂ of E[x_0 | x_t],
 *
 *     x_r = x̂ + (r/t)(x_t − x̂),   target = D⁻(x_r, r), and x̂ where r = 0.
 *
 * The teacher D⁻ runs on the rows with r > 0 alone, under the identities of those rows. x_r is computed as x̂ + (r/t)(x_0 − x̂) + r·ε, which for
 * x̂ = x_0 is ECT's x_0 + r·ε to the bit.
 *
 * With phases (Eq. 16, 17), student and teacher are to agree at the edge s of the row's phase, on x_s = D + (s/t)(x_t − D) from t and
 * x_s = D⁻ + (s/r)(x_r − D⁻) from r. Solved for D, x_t drops out, and what is left is a mean of teacher and estimate:
 *
 *     target = w·D⁻(x_r, r) + (1 − w)·x̂,   w = (1 − s/r)/(1 − s/t).
 *
 * At s = 0 it is the target above; at r = s, where the teacher is not run, it is x̂, and x_s is the Euler step along x̂.
 *
 * A row with a NaN or ∞ has weight 0, zeros for its values, and is counted. One small read from the backend a call.
 *
 * @throws Error naming the argument that does not fit
 *
 * @example
 * ```ts
 * import { consistencyTarget, oneSampleEstimator } from '@cm/ect';
 * import { inverseGap, progressiveSchedule } from '@cm/schedules';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * const target = consistencyTarget({
 *   teacher: (x) => tf.mul(x, 0.5), // yours: the student, or its average
 *   batch: { images: tf.ones([3, 2, 2, 1]), noise: tf.zeros([3, 2, 2, 1]), t: [0.1, 1, 10] },
 *   estimator: oneSampleEstimator(),
 *   schedule: progressiveSchedule({ q: 2, d: 25_000 }),
 *   weighting: inverseGap(),
 *   iteration: 30_000,
 * });
 * console.log(target.noisy.shape, target.stats.teacherRows); // [3, 2, 2, 1] 2
 * target.dispose();
 * ```
 */
export function consistencyTarget(options: ConsistencyTargetOptions): ConsistencyTarget {
  const { teacher, batch, estimator, schedule, weighting, iteration } = options;
  checkBatch(batch);
  const pairs = Array.from(batch.t, (t) => schedule(t, iteration));
  const rows = [...pairs.keys()].filter((row) => pairs[row]!.r > pairs[row]!.edge);
  const phased = pairs.some(({ edge }) => edge > 0);
  let names: string[] = [];

  const { t, noisy, target, weights, reach, bad, numbers } = tf.tidy(() => {
    const t = column(pairs, (pair) => pair.t);
    const noisy = tf.add(batch.images, tf.mul(batch.noise, spread(t))) as tf.Tensor4D;
    // A discrete schedule moves t to its grid.
    const { denoised: estimate, stats = {} } = estimator({ ...batch, t: pairs.map((pair) => pair.t) }, noisy, pairs);
    expectShape('consistencyTarget', "the estimator's result", estimate, noisy.shape);
    const target = rows.length > 0 ? teach(teacher, batch, estimate, pairs, rows) : tf.clone(estimate);
    // The sum is finite where both are: one pass tells of the target, the images and the noise.
    const bad = tf.logicalNot(tf.all(tf.reshape(tf.isFinite(tf.add(target, noisy)), [pairs.length, -1]), 1));
    names = Object.keys(stats);
    return {
      t,
      noisy,
      target,
      weights: rowWeights(pairs, weighting),
      reach: phased ? column(pairs, ({ t, edge }) => (t - edge) / t) : undefined,
      bad,
      numbers: tf.stack([tf.sum(tf.cast(bad, 'float32')), ...Object.values(stats).map((value) => scalar(value))]),
    };
  });
  const [badRows, ...values] = numbers.dataSync() as Float32Array;
  const fits = badRows === 0 ? { noisy, target, weights } : withoutRows({ noisy, target, weights }, bad);
  if (badRows !== 0) tf.dispose([noisy, target, weights]);
  tf.dispose([bad, numbers]);

  return {
    ...fits,
    t,
    ...(batch.condition && { condition: batch.condition }),
    ...(reach && { reach }),
    pairs,
    stats: {
      ...Object.fromEntries(names.map((name, i) => [name, values[i]!])),
      teacherRows: rows.length,
      badRows: badRows!,
    },
    dispose: () => tf.dispose([fits.noisy, t, fits.target, fits.weights, ...(reach ? [reach] : [])]),
  };
}

/** The target of all rows: of the given ones by the teacher, of the others the estimate. */
function teach(
  teacher: ConsistencyModel,
  { images, noise, condition }: TrainingBatch,
  estimate: tf.Tensor4D,
  pairs: readonly NoisePair[],
  rows: readonly number[],
): tf.Tensor4D {
  const all = rows.length === pairs.length;
  const at = tf.tensor1d([...rows], 'int32');
  const of = <T extends tf.Tensor>(x: T) => (all ? x : tf.gather(x, at));
  const chosen = rows.map((row) => pairs[row]!);
  const x0 = of(images);
  const denoised = of(estimate);
  const r = column(chosen, (pair) => pair.r);
  const drift = tf.mul(tf.sub(x0, denoised), spread(column(chosen, ({ t, r }) => r / t)));
  const moved = tf.add(tf.add(denoised, drift), tf.mul(of(noise), spread(r))) as tf.Tensor4D;

  const taught = teacher(moved, r, condition && of(condition), [...rows]);
  expectShape('consistencyTarget', "the teacher's result", taught, moved.shape);
  const target = chosen.every(({ edge }) => edge === 0) ? taught : towardEdge(taught, denoised, chosen);
  if (all) return target;
  // Rows of the teacher follow those of the estimate: row i is taken from where its target is.
  const from = Int32Array.from(pairs.keys());
  rows.forEach((row, i) => {
    from[row] = pairs.length + i;
  });
  return tf.gather(tf.concat([estimate, target], 0), tf.tensor1d(from, 'int32'));
}

/** w·D⁻ + (1 − w)·x̂, with neither w = ratio·t/r nor 1 − w = (1 − ratio)·s/r a difference of nearly equal numbers. */
function towardEdge(taught: tf.Tensor4D, estimate: tf.Tensor4D, pairs: readonly NoisePair[]): tf.Tensor4D {
  const share = column(pairs, ({ t, r, ratio, edge }) => (edge === 0 ? 1 : (ratio * t) / r));
  const rest = column(pairs, ({ r, ratio, edge }) => ((1 - ratio) * edge) / r);
  return tf.add(tf.mul(taught, spread(share)), tf.mul(estimate, spread(rest))) as tf.Tensor4D;
}

function rowWeights(pairs: readonly NoisePair[], weighting: Weighting): tf.Tensor1D {
  return column(pairs, (pair) => {
    const weight = weighting(pair);
    if (!Number.isFinite(Math.fround(weight))) {
      throw new Error(`consistencyTarget: the weight at t = ${pair.t} is ${weight}, expected a finite float32 number`);
    }
    return weight;
  });
}

type Rows = Pick<ConsistencyTarget, 'noisy' | 'target' | 'weights'>;

/** The rows with the bad ones at zero: 0 times their weight of 0 would be NaN still. */
const withoutRows = ({ noisy, target, weights }: Rows, bad: tf.Tensor): Rows =>
  tf.tidy(() => {
    const zeroed = <T extends tf.Tensor>(x: T) =>
      tf.where(tf.reshape(bad, [-1, ...x.shape.slice(1).map(() => 1)]), tf.zerosLike(x), x) as T;
    return { noisy: zeroed(noisy), target: zeroed(target), weights: zeroed(weights) };
  });

/** A number of each pair as a tensor [batch]. */
const column = (pairs: readonly NoisePair[], f: (pair: NoisePair) => number): tf.Tensor1D =>
  tf.tensor1d(Float32Array.from(pairs, f));

/** [batch] to [batch, 1, 1, 1]. */
const spread = (values: tf.Tensor) => tf.reshape(values, [-1, 1, 1, 1]);

const scalar = (value: number | tf.Scalar) => (typeof value === 'number' ? tf.scalar(value) : value);
