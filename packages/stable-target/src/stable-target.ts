import * as tf from '@tensorflow/tfjs-core';
import { chunkLogits, ownLogit, posterior, queryMatrix, type Rows, type Sums } from './posterior';
import { type ReferenceSet, referenceSet } from './reference-set';

/** What {@link stableTarget} is asked for. Rows of a batch are noisy samples x_t = α·x_0 + σ·ε. */
export interface StableTargetOptions {
  /** The samples to average over; `'batch'`: the batch's own clean samples. */
  readonly references: ReferenceSet | 'batch';
  /** Clean samples x_0, [batch, ...]: each row's own sample, which always counts, once. */
  readonly x0: tf.Tensor;
  /** The noise ε that was added, shaped like `x0`. */
  readonly noise: tf.Tensor;
  /** Noise level σ of each row, above 0. With α = 1 (EDM's convention) that is t. */
  readonly t: ArrayLike<number> | tf.Tensor1D;
  /** Signal level α, above 0, of all rows or of each. Default 1. */
  readonly alpha?: number | ArrayLike<number>;
  /**
   * Index in `references` of each row's own sample, −1 where it is not among them, as when the batch is mirrored and the references are not.
   * Default: −1 for all. With `'batch'` row i is sample i.
   */
  readonly ownIndex?: ArrayLike<number>;
  /** Class of each row: only references of the same class count. A class without references has the own sample alone. */
  readonly labels?: ArrayLike<number>;
  /**
   * A log-weight added to each reference's, [references] or [batch, references]: a soft condition. The own sample has that of its index,
   * and 0 where it is not among the references. Not together with `labels`.
   */
  readonly logPrior?: tf.Tensor1D | tf.Tensor2D;
}

/** A posterior over reference samples, summed up. The tensors are the caller's to free. */
export interface StableTarget {
  /** x̂ = Σ W_i·x_0^i, the estimate of E[x_0 | x_t], shaped like `x0`. */
  readonly posteriorMean: tf.Tensor;
  /** ε̂ = Σ W_i·ε(x_t, t; x_0^i) = (x_t − α·x̂)/σ (Eq. 14), shaped like `x0`. */
  readonly epsilon: tf.Tensor;
  /** (Σ W_i)²/Σ W_i² of each row, from 1 (one sample has all the weight) to the number of samples: [batch]. */
  readonly effectiveSampleSize: tf.Tensor1D;
  /** Σ W_i·|x_0^i − x̂|² of each row per value: how far the one-sample target strays from x̂. [batch] */
  readonly posteriorVariance: tf.Tensor1D;
}

/**
 * The stable target of Stable Consistency Tuning: the posterior mean of clean samples given a noisy one, over a set of reference samples.
 *
 * x̂ = Σ W_i·x_0^i, W_i = P(x_t | x_0^i)/Σ_j P(x_t | x_0^j), P(x_t | x_0^i) ∝ exp(−|x_t − α·x_0^i|²/(2σ²)).
 *
 * The weights sum to one. (Eq. 13 and 14 of the paper print a factor 1/n before weights that are already normalised; self-normalised importance
 * weights have none.) With one reference, the row's own sample, x̂ = x_0 exactly: the target of consistency training.
 *
 * Weights are computed relative to the row's own sample, whose logit is exactly 0: with s = σ/α that of x_0^i is
 * −(|x_0 − x_0^i|² + 2s·ε·(x_0 − x_0^i))/(2s²). References stream through in chunks, one matrix product for their logits and one for their mean,
 * with a running maximum; nothing of the size batch × references × values exists at any time.
 *
 * @throws Error naming the argument that does not fit, what was expected and what came
 * @see Wang et al., Stable Consistency Tuning (arXiv 2410.18958), Eq. 13 and 14; Xu et al., Stable Target Field (arXiv 2302.00670)
 *
 * @example
 * ```ts
 * import { stableTarget } from '@cm/stable-target';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * const x0 = tf.tensor2d([[-1], [0], [1]]);
 * const { posteriorMean, effectiveSampleSize } = stableTarget({
 *   references: 'batch',
 *   x0,
 *   noise: tf.zeros([3, 1]),
 *   t: [0.1, 1, 100],
 * });
 * console.log(posteriorMean.arraySync()); // [[-1], [0], [0.0001]]
 * console.log(effectiveSampleSize.arraySync()); // [1, 2.82, 3]
 * ```
 */
export function stableTarget(options: StableTargetOptions): StableTarget {
  const { x0, noise, labels, logPrior } = options;
  const batch = checkRows(options);
  const scales = noiseToSignal(options, batch);
  const references = options.references === 'batch' ? batchReferences(x0, labels) : options.references;
  checkReferences(references, options, batch);
  const own = ownIndices(options, references, batch);
  try {
    return tf.tidy(() => {
      const flat = (x: tf.Tensor) => tf.reshape(x, [batch, -1]) as tf.Tensor2D;
      const rows: Rows = { x0: flat(x0), noise: flat(noise), scales, own, ...(logPrior && { logPrior }) };
      const sums = !labels
        ? posterior(references, rows)
        : options.references === 'batch'
          ? posterior(references, { ...rows, logPrior: sameClass(labels) })
          : byClass(references, rows, labels);
      const mean = tf.reshape(sums.mean, x0.shape);
      const inverse = tf.tensor(
        Array.from(scales, (s) => 1 / s),
        [batch, ...new Array(x0.rank - 1).fill(1)],
      );
      return {
        posteriorMean: mean,
        // (x_t − α·x̂)/σ = ε + (x_0 − x̂)/s: nothing large is subtracted from anything large.
        epsilon: tf.add(noise, tf.mul(tf.sub(x0, mean), inverse)),
        effectiveSampleSize: sums.effectiveSampleSize,
        posteriorVariance: sums.variance,
      };
    });
  } finally {
    if (options.references === 'batch') references.dispose();
  }
}

/**
 * The logarithms of the weights W_i, [batch, references], and of the own sample's, [batch], which is −∞ where the own sample is
 * among the references (its weight is then in its column). For looking at: the whole matrix is in memory.
 *
 * Options and errors are those of {@link stableTarget}; with `labels`, other classes have −∞.
 *
 * @example
 * ```ts
 * import { posteriorLogWeights } from '@cm/stable-target';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * const x0 = tf.tensor2d([[-1], [1]]);
 * const { logWeights } = posteriorLogWeights({ references: 'batch', x0, noise: tf.zeros([2, 1]), t: [1, 1] });
 * console.log(tf.exp(logWeights).arraySync()); // [[0.881, 0.119], [0.119, 0.881]]
 * ```
 */
export function posteriorLogWeights(options: StableTargetOptions): {
  logWeights: tf.Tensor2D;
  ownLogWeight: tf.Tensor1D;
} {
  const { x0, noise, labels, logPrior } = options;
  const batch = checkRows(options);
  const scales = noiseToSignal(options, batch);
  const references = options.references === 'batch' ? batchReferences(x0, labels) : options.references;
  checkReferences(references, options, batch);
  const own = ownIndices(options, references, batch);
  try {
    return tf.tidy(() => {
      const flat = (x: tf.Tensor) => tf.reshape(x, [batch, -1]) as tf.Tensor2D;
      const rows: Rows = { x0: flat(x0), noise: flat(noise), scales, own, ...(logPrior && { logPrior }) };
      const queries = queryMatrix(references, rows);
      const ownLogits = ownLogit(rows);
      const parts = references.chunks.map((chunk) =>
        references.withChunk(chunk, (matrix) => chunkLogits(queries, matrix, chunk, rows, ownLogits)),
      );
      let logits = tf.concat(parts, 1);
      if (labels) {
        const same = Array.from({ length: batch }, (_, row) =>
          Array.from(references.labels!, (label) => label === labels[row]),
        );
        logits = tf.where(tf.tensor2d(same, undefined, 'bool'), logits, Number.NEGATIVE_INFINITY);
      }
      const apart = tf.where(
        tf.tensor1d(
          Array.from(own, (index) => index < 0),
          'bool',
        ),
        ownLogits,
        Number.NEGATIVE_INFINITY,
      );
      const all = tf.concat([logits, tf.expandDims(apart, 1)], 1);
      const total = tf.logSumExp(all, 1, true);
      return {
        logWeights: tf.sub(logits, total) as tf.Tensor2D,
        ownLogWeight: tf.sub(apart, tf.reshape(total, [batch])) as tf.Tensor1D,
      };
    });
  } finally {
    if (options.references === 'batch') references.dispose();
  }
}

/** Log-prior [batch, batch] of no weight for other classes. A batch is small, and its classes may be as many as its rows: a mask beats matrices. */
function sameClass(labels: ArrayLike<number>): tf.Tensor2D {
  const all = Int32Array.from(labels);
  const same = tf.equal(tf.tensor2d(all, [all.length, 1], 'int32'), tf.tensor2d(all, [1, all.length], 'int32'));
  return tf.where(same, 0, Number.NEGATIVE_INFINITY) as tf.Tensor2D;
}

/** Each class's rows over that class's references. */
function byClass(references: ReferenceSet, rows: Rows, labels: ArrayLike<number>): Sums {
  const order: number[] = [];
  const parts: Sums[] = [];
  for (const label of new Set(Array.from(labels))) {
    const members = Array.from(rows.own.keys()).filter((row) => labels[row] === label);
    order.push(...members);
    const of = references.ofClass(label);
    const at = tf.tensor1d(members, 'int32');
    const x0 = tf.gather(rows.x0, at);
    if (!of) {
      const ones = tf.ones([members.length]) as tf.Tensor1D;
      parts.push({ mean: x0, effectiveSampleSize: ones, variance: tf.zerosLike(ones) });
      continue;
    }
    const own = Int32Array.from(members, (row) => (rows.own[row]! < 0 ? -1 : of.positionOf[rows.own[row]!]!));
    const scales = Float64Array.from(members, (row) => rows.scales[row]!);
    parts.push(posterior(of.references, { x0, noise: tf.gather(rows.noise, at), scales, own }));
  }
  const back = new Int32Array(order.length);
  order.forEach((row, at) => {
    back[row] = at;
  });
  const inOrder = <T extends tf.Tensor>(tensors: T[]) =>
    tf.gather(tf.concat(tensors as tf.Tensor[], 0), tf.tensor1d(back, 'int32')) as T;
  return {
    mean: inOrder(parts.map(({ mean }) => mean)),
    effectiveSampleSize: inOrder(parts.map(({ effectiveSampleSize }) => effectiveSampleSize)),
    variance: inOrder(parts.map(({ variance }) => variance)),
  };
}

const batchReferences = (x0: tf.Tensor, labels?: ArrayLike<number>) =>
  referenceSet({ images: x0, ...(labels && { labels }) });

function checkRows({ x0, noise, t, ownIndex, labels, logPrior }: StableTargetOptions): number {
  const batch = x0.shape[0];
  if (!batch) throw new Error(`stableTarget: x0 has shape [${x0.shape}], expected [batch, ...] with at least one row`);
  if (noise.shape.join() !== x0.shape.join()) {
    throw new Error(`stableTarget: noise has shape [${noise.shape}], expected [${x0.shape}], that of x0`);
  }
  const lengths = { t: t instanceof tf.Tensor ? t.size : t.length, ownIndex: ownIndex?.length, labels: labels?.length };
  for (const [name, length] of Object.entries(lengths)) {
    if (length !== undefined && length !== batch)
      throw new Error(`stableTarget: ${name} has ${length} entries, expected batch ${batch}`);
  }
  if (labels && logPrior) throw new Error('stableTarget: labels and logPrior were both given, expected one or neither');
  return batch;
}

function noiseToSignal({ t, alpha = 1 }: StableTargetOptions, batch: number): Float64Array {
  const levels = t instanceof tf.Tensor ? t.dataSync() : t;
  if (typeof alpha !== 'number' && alpha.length !== batch) {
    throw new Error(`stableTarget: alpha has ${alpha.length} entries, expected batch ${batch}`);
  }
  return Float64Array.from({ length: batch }, (_, row) => {
    const sigma = levels[row]!;
    const a = typeof alpha === 'number' ? alpha : alpha[row]!;
    if (!(sigma > 0 && sigma < Number.POSITIVE_INFINITY)) {
      throw new Error(`stableTarget: t[${row}] is ${sigma}, expected a finite noise level above 0`);
    }
    if (!(a > 0 && a < Number.POSITIVE_INFINITY))
      throw new Error(`stableTarget: alpha is ${a} in row ${row}, expected above 0`);
    const s = sigma / a;
    if (!(s > 1e-12 && s < 1e12))
      throw new Error(`stableTarget: t/alpha is ${s} in row ${row}, expected from 1e-12 to 1e12`);
    return s;
  });
}

function checkReferences(references: ReferenceSet, { x0, labels, logPrior }: StableTargetOptions, batch: number): void {
  const { sampleShape, count } = references;
  if (sampleShape.join() !== x0.shape.slice(1).join()) {
    throw new Error(
      `stableTarget: x0 has samples of shape [${x0.shape.slice(1)}], expected the references' [${sampleShape}]`,
    );
  }
  if (labels && !references.labels) throw new Error('stableTarget: labels were given, expected references with labels');
  if (logPrior) {
    const expected = logPrior.rank === 1 ? [count] : [batch, count];
    if (logPrior.shape.join() !== expected.join()) {
      throw new Error(
        `stableTarget: logPrior has shape [${logPrior.shape}], expected [${count}] or [${batch}, ${count}]`,
      );
    }
  }
}

function ownIndices(
  { references, ownIndex, labels }: StableTargetOptions,
  { count, labels: classes }: ReferenceSet,
  batch: number,
) {
  return Int32Array.from({ length: batch }, (_, row) => {
    const index = ownIndex ? ownIndex[row]! : references === 'batch' ? row : -1;
    if (!(Number.isInteger(index) && index >= -1 && index < count)) {
      throw new Error(`stableTarget: ownIndex[${row}] is ${index}, expected from -1 to ${count - 1}`);
    }
    if (labels && classes && index >= 0 && classes[index] !== labels[row]) {
      throw new Error(
        `stableTarget: labels[${row}] is ${labels[row]}, expected ${classes[index]}, the class of its own sample ${index}`,
      );
    }
    return index;
  });
}
