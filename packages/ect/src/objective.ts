import type { ConsistencySchedule, NoisePair, Weighting } from '@cm/schedules';
import * as tf from '@tensorflow/tfjs-core';
import type { Estimator } from './estimators';
import type { Metric } from './metrics';
import type { ConsistencyModel, TrainingBatch } from './model';

/** What {@link consistencyTarget} is computed from. */
export interface ConsistencyTargetOptions {
  /** The model that the target comes from: the student's current weights, or an average of them. It gets no gradient. */
  readonly teacher: ConsistencyModel;
  readonly batch: TrainingBatch;
  /** The estimate of E[x_0 | x_t] that moves x_t to x_r. */
  readonly estimator: Estimator;
  /** r of each t (Eq. 15, or Eq. 17 with phases). */
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
  /** Weight of each row, [batch]; 0 where the target was not finite. */
  readonly weights: tf.Tensor1D;
  /** t, r and their gap of each row. */
  readonly pairs: readonly NoisePair[];
  /** `teacherRows`: rows on which the teacher ran; `badRows`: rows left out for a NaN or ∞; and the estimator's own. */
  readonly stats: Readonly<Record<string, number>>;
  dispose(): void;
}

/**
 * The training target of the consistency objective (Eq. 6): with x_t = x_0 + t·ε and the estimate x̂ of E[x_0 | x_t],
 * x_r = x̂ + (r/t)(x_t − x̂), and the target is D⁻(x_r, r). Where r = 0 it is x̂ itself, and the teacher is not run: it sees the rows with
 * r > s alone.
 *
 * With phases (Eq. 16, 17), student and teacher are to agree at the edge s of the phase: s/t·x_t + (1 − s/t)·D(x_t, t) against
 * x_s, which the teacher gives as s/r·x_r + (1 − s/r)·D⁻(x_r, r), and which is x_r itself where r = s. Solved for D(x_t, t),
 * the target is (x_s − s/t·x_t)/(1 − s/t), which for s = 0 is the one above.
 *
 * @throws Error naming the argument that does not fit
 */
export function consistencyTarget(options: ConsistencyTargetOptions): ConsistencyTarget {
  const { teacher, batch, estimator, schedule, weighting, iteration } = options;
  const count = checkBatch(batch);
  const pairs = Array.from(batch.t, (t) => schedule(t, iteration));
  const rows = Array.from(pairs.keys()).filter((row) => pairs[row]!.r > pairs[row]!.edge);
  let stats: Readonly<Record<string, number>> = {};

  const { noisy, t, target, weights, bad } = tf.tidy(() => {
    const t = column(pairs, (pair) => pair.t);
    const noisy = tf.add(batch.images, tf.mul(batch.noise, spread(t))) as tf.Tensor4D;
    const estimate = estimator(batch, noisy);
    stats = estimate.stats ?? {};

    const moved = moveTo(
      noisy,
      estimate.denoised,
      column(pairs, ({ t, r }) => r / t),
    );
    const denoisedAtR = teach(teacher, batch, moved, estimate.denoised, pairs, rows);
    const raw = pairs.every(({ edge }) => edge === 0) ? denoisedAtR : throughEdge(noisy, moved, denoisedAtR, pairs);

    const bad = tf.logicalNot(tf.all(tf.isFinite(tf.reshape(raw, [count, -1])), 1));
    const target = tf.where(tf.isFinite(raw), raw, tf.zerosLike(raw)) as tf.Tensor4D;
    const weights = tf.where(bad, tf.zeros([count]), column(pairs, weighting)) as tf.Tensor1D;
    return { noisy, t: t as tf.Tensor1D, target, weights, bad: tf.sum(tf.cast(bad, 'float32')) };
  });
  const badRows = bad.dataSync()[0]!;
  tf.dispose(bad);

  return {
    noisy,
    t,
    ...(batch.condition && { condition: batch.condition }),
    target,
    weights,
    pairs,
    stats: { ...stats, teacherRows: rows.length, badRows },
    dispose: () => tf.dispose([noisy, t, target, weights]),
  };
}

/**
 * The consistency loss: the mean over rows of weight·metric(D(x_t, t), target). Differentiable in whatever `model` is made from.
 *
 * The rows' places in the batch are passed to the model, as to the teacher, so that both drop the same activations.
 */
export function consistencyLoss(
  model: ConsistencyModel,
  { noisy, t, condition, target, weights, pairs }: ConsistencyTarget,
  { metric }: { readonly metric: Metric },
): tf.Scalar {
  return tf.tidy(() => {
    const denoised = model(noisy, t, condition, Array.from(pairs.keys()));
    return tf.mean(tf.mul(metric(denoised, target), weights)) as tf.Scalar;
  });
}

/** A number of each pair as a tensor [batch]. */
const column = (pairs: readonly NoisePair[], f: (pair: NoisePair) => number) =>
  tf.tensor1d(Float32Array.from(pairs, f));

/** [batch] to [batch, 1, 1, 1]. */
const spread = (values: tf.Tensor) => tf.reshape(values, [-1, 1, 1, 1]);

/** x̂ + ratio·(x − x̂): the Euler step of the ODE along a constant estimate (Eq. 16). */
const moveTo = (x: tf.Tensor, estimate: tf.Tensor, ratio: tf.Tensor) =>
  tf.add(estimate, tf.mul(spread(ratio), tf.sub(x, estimate))) as tf.Tensor4D;

/** D⁻(x_r, r) on the given rows, the estimate on all others. */
function teach(
  teacher: ConsistencyModel,
  batch: TrainingBatch,
  moved: tf.Tensor4D,
  estimate: tf.Tensor4D,
  pairs: readonly NoisePair[],
  rows: readonly number[],
): tf.Tensor4D {
  if (rows.length === 0) return estimate;
  if (rows.length === pairs.length) {
    return teacher(
      moved,
      column(pairs, ({ r }) => r),
      batch.condition,
      [...rows],
    );
  }
  const at = tf.tensor1d([...rows], 'int32');
  const levels = tf.tensor1d(Float32Array.from(rows, (row) => pairs[row]!.r));
  const condition = batch.condition && tf.gather(batch.condition, at);
  const denoised = teacher(tf.gather(moved, at), levels, condition, [...rows]);
  // Rows of the teacher follow those of the estimate: row i is taken from where its target is.
  const from = Int32Array.from(pairs.keys());
  rows.forEach((row, i) => {
    from[row] = pairs.length + i;
  });
  return tf.gather(tf.concat([estimate, denoised], 0), tf.tensor1d(from, 'int32'));
}

/** What D(x_t, t) has to be for x_t to reach the x_s that x_r reaches by D⁻(x_r, r). */
function throughEdge(noisy: tf.Tensor4D, moved: tf.Tensor4D, denoisedAtR: tf.Tensor4D, pairs: readonly NoisePair[]) {
  const atEdge = moveTo(
    moved,
    denoisedAtR,
    column(pairs, ({ r, edge }) => (edge === 0 ? 0 : edge / r)),
  );
  // 1 − s/t, from the gap t − s as the schedule has it: (t − r)/(1 − ratio).
  const rest = column(pairs, ({ t, gap, ratio }) => gap / (1 - ratio) / t);
  const part = column(pairs, ({ t, edge }) => edge / t);
  return tf.div(tf.sub(atEdge, tf.mul(noisy, spread(part))), spread(rest)) as tf.Tensor4D;
}

function checkBatch({ images, noise, t, condition, labels, indices }: TrainingBatch): number {
  const count = images.shape[0];
  if (images.rank !== 4 || count === 0) {
    throw new Error(`consistencyTarget: images has shape [${images.shape}], expected [batch, height, width, channels]`);
  }
  if (noise.shape.join() !== images.shape.join()) {
    throw new Error(`consistencyTarget: noise has shape [${noise.shape}], expected [${images.shape}], that of images`);
  }
  const lengths = { t: t.length, condition: condition?.shape[0], labels: labels?.length, indices: indices?.length };
  for (const [name, length] of Object.entries(lengths)) {
    if (length !== undefined && length !== count) {
      throw new Error(`consistencyTarget: ${name} has ${length} entries, expected batch ${count}`);
    }
  }
  return count;
}
