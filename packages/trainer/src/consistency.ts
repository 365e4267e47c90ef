import {
  type ConsistencyModel,
  type ConsistencyTarget,
  consistencyLoss,
  consistencyTarget,
  type Estimator,
  type Objective,
  type Recipe,
} from '@cm/ect';
import { normalArray, normalRows, split } from '@cm/random';
import * as tf from '@tensorflow/tfjs-core';
import { type Batch, partOf, type TrainingObjective } from './objective';

/** Options of {@link consistencyObjective}: those of a recipe, from `objectiveOf` of `@cm/ect`, and what makes its estimate. */
export interface ConsistencyObjectiveOptions
  extends Pick<Objective, 'noiseLevels' | 'schedule' | 'weighting' | 'metric'> {
  /** The estimate of E[x_0 | x_t]: of one sample (ECT), a diffusion model (CD), or references (SCT). `estimatorOf` of `@cm/sct` makes a recipe's. */
  readonly estimator: Estimator;
  /** The schedule's stage at a step, to be logged: {@link stageOf} a recipe. Default: none. */
  readonly stage?: (step: number) => number;
}

/**
 * Consistency training as a {@link TrainingObjective}: the target of the whole batch (`consistencyTarget` of `@cm/ect`), so that references in
 * the batch are all of its images, then the loss of any of its rows.
 *
 * Logs what the target and the estimator report (`teacherRows`, `badRows`, `effectiveSampleSize`), `ratio`, the mean of r/t, and `stage`.
 */
export function consistencyObjective(options: ConsistencyObjectiveOptions): TrainingObjective {
  const { noiseLevels, schedule, weighting, metric, estimator, stage } = options;
  return ({ batch, condition, key, step, teacher }) => {
    const { images, labels } = batch;
    const [count, ...shape] = images.shape;
    const { first, total } = partOf(batch);
    const noise = normalRows(
      split(key, 'noise'),
      Array.from({ length: count }, (_, row) => first + row),
      shape,
    ) as tf.Tensor4D;
    const indices = unchanged(batch);
    const target = consistencyTarget({
      teacher: first === 0 ? teacher : shifted(teacher, first),
      batch: {
        images,
        noise,
        t: noiseLevels(normalArray(split(key, 't'), total).slice(first, first + count)),
        ...(condition && { condition }),
        ...(labels && { labels }),
        ...(indices && { indices }),
      },
      estimator,
      schedule,
      weighting,
      iteration: step,
    });
    tf.dispose(noise);
    const ratio = target.pairs.reduce((sum, pair) => sum + pair.ratio, 0) / count;
    return {
      loss: (model, begin, end) =>
        tf.tidy(() => {
          const mean = consistencyLoss(
            (x, t, condition, rows) => model(x, t, condition, rows && Array.from(rows, (row) => first + row + begin)),
            rowsOf(target, begin, end),
            { metric },
          );
          return tf.mul(mean, (end - begin) / total) as tf.Scalar;
        }),
      stats: { ...target.stats, ratio, ...(stage && { stage: stage(step) }) },
      counts: ['teacherRows', 'badRows'],
      dispose: target.dispose,
    };
  };
}

/** The stage of a recipe's schedule at a step: ⌊step/d⌋ of a progressive one (Eq. 15), 0 always of one that does not go by stages. */
export function stageOf({ schedule }: Pick<Recipe, 'schedule'>): (step: number) => number {
  // As the schedule itself rounds: d may be a fraction of steps.
  return 'd' in schedule ? (step) => Math.floor((step / schedule.d) * (1 + 4 * Number.EPSILON)) : () => 0;
}

/** A model of rows that are counted from `first`. */
const shifted =
  (model: ConsistencyModel, first: number): ConsistencyModel =>
  (x, t, condition, rows) =>
    model(
      x,
      t,
      condition,
      Array.from(rows ?? Array.from({ length: x.shape[0] }, (_, row) => row), (row) => first + row),
    );

/** The rows' positions in the data set; −1 where the image was mirrored. */
const unchanged = ({ indices, flipped }: Batch) =>
  indices && Array.from(indices, (index, row) => (flipped?.[row] ? -1 : index));

/** Some rows of a target. Its tensors are for the scope that it is called in. */
function rowsOf(target: ConsistencyTarget, begin: number, end: number): ConsistencyTarget {
  if (begin === 0 && end === target.pairs.length) return target;
  const part = <T extends tf.Tensor>(all: T) => tf.slice(all, begin, end - begin);
  return {
    ...target,
    noisy: part(target.noisy),
    t: part(target.t),
    target: part(target.target),
    weights: part(target.weights),
    ...(target.reach && { reach: part(target.reach) }),
    ...(target.condition && { condition: part(target.condition) }),
    pairs: target.pairs.slice(begin, end),
  };
}
