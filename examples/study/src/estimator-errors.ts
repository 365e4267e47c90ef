import { type ImageDataset, subset, toFloat } from '@cm/datasets';
import type { ConsistencyModel } from '@cm/ect';
import { integerArray, type Key, normal, split, uniformArray } from '@cm/random';
import { posteriorLogWeights, type ReferenceSet, referenceSet, stableTarget } from '@cm/stable-target';
import * as tf from '@tensorflow/tfjs-core';
import { meanAndDeviation } from './statistics';

/** How an estimate of E[x_0 | x_t] errs at a noise level, per pixel. */
export interface EstimatorError {
  readonly t: number;
  readonly estimator: string;
  /** References of the estimate, the own sample included. */
  readonly references: number;
  /** |E[x̂ | x_t] − E[x_0 | x_t]|², mean over x_t, without the share of it that is due to the finite number of draws: near 0 of either sign if there is none. */
  readonly bias: number;
  /** How far from 0 it may be by chance: its standard error over rows, at least the share that has been taken away. */
  readonly biasError: number;
  /** E|x̂ − E[x̂ | x_t]|², mean over x_t. */
  readonly variance: number;
}

/** Options of {@link estimatorErrors}. */
export interface EstimatorErrorOptions {
  readonly dataset: ImageDataset;
  /** The data set as references, with labels. */
  readonly whole: ReferenceSet;
  readonly t: number;
  /** Number of x_t. */
  readonly rows: number;
  /** Draws of every estimate at each x_t. */
  readonly draws: number;
  /** Numbers of references, own sample included, each above 1. */
  readonly references: readonly number[];
  readonly key: Key;
  /** A diffusion model whose answer is an estimate too, as in distillation. */
  readonly diffusion?: ConsistencyModel;
  readonly onDraw?: (draw: number) => void;
}

/**
 * Bias and variance of estimates of E[x_0 | x_t] on a data set that is all there is, so that E[x_0 | x_t] is known: the posterior mean over it.
 *
 * x_t is drawn once and stays; what training would make it from is drawn again and again: the own sample from the posterior P(x_0 | x_t), the other
 * references evenly and independently from the data set. This is the joint distribution of training, read given x_t.
 */
export function estimatorErrors(options: EstimatorErrorOptions): EstimatorError[] {
  const { dataset, whole, t, rows, draws, key, diffusion, onDraw } = options;
  const [count, height, width, channels] = dataset.shape;
  const shapeOf = (n: number): [number, number, number, number] => [n, height, width, channels];
  const imagesAt = (indices: ArrayLike<number>) =>
    toFloat(subset(dataset, indices).images, shapeOf(indices.length)) as tf.Tensor4D;
  const levels = new Float32Array(rows).fill(t);

  const first = integerArray(split(key, 'rows'), rows, { high: count });
  const { noisy, truth, posterior } = tf.tidy(() => {
    const x0 = imagesAt(first);
    const noise = normal(split(key, 'noise'), shapeOf(rows)) as tf.Tensor4D;
    const given = { references: whole, x0, noise, t: levels, ownIndex: first };
    return {
      noisy: tf.add(x0, tf.mul(noise, t)) as tf.Tensor4D,
      truth: stableTarget(given).posteriorMean,
      posterior: posteriorLogWeights(given).logWeights.dataSync(),
    };
  });
  const drawOwn = sampler(posterior as Float32Array, rows, count);

  const tallies = new Map<string, Tally>();
  const tally = (estimator: string, references: number, estimate: tf.Tensor) => {
    const name = `${estimator} ${references}`;
    if (!tallies.has(name)) tallies.set(name, newTally(estimator, references));
    add(tallies.get(name)!, estimate, truth);
  };

  for (let draw = 0; draw < draws; draw++) {
    const own = drawOwn(uniformArray(split(key, 'own', draw), rows));
    tf.tidy(() => {
      const x0 = imagesAt(own);
      const noise = tf.div(tf.sub(noisy, x0), t);
      tally('the one sample', 1, x0);
      for (const n of options.references) {
        const others = subset(dataset, integerArray(split(key, 'others', draw, n), n - 1, { high: count })).images;
        const references = referenceSet({ images: others, shape: shapeOf(n - 1) });
        const given = { references, x0, noise, t: levels };
        tally('in the batch', n, stableTarget(given).posteriorMean);
        // What self-normalised importance sampling would give: the references without the sample that x_t was made from.
        const weights = tf.softmax(posteriorLogWeights(given).logWeights, 1) as tf.Tensor2D;
        const flat = tf.reshape(toFloat(others, shapeOf(n - 1)), [n - 1, -1]) as tf.Tensor2D;
        tally('without the own sample', n - 1, tf.reshape(tf.matMul(weights, flat), truth.shape));
        references.dispose();
      }
      if (dataset.labels) {
        const labels = Array.from(own, (index) => dataset.labels![index]!);
        const ofClass = stableTarget({ references: whole, x0, noise, t: levels, ownIndex: own, labels });
        tally('the class', Math.round(count / distinctCount(dataset.labels)), ofClass.posteriorMean);
      }
      tally(
        'the whole set',
        count,
        stableTarget({ references: whole, x0, noise, t: levels, ownIndex: own }).posteriorMean,
      );
      if (diffusion && draw === 0) tally('the diffusion model', 0, diffusion(noisy, tf.tensor1d(levels)));
    });
    onDraw?.(draw + 1);
  }

  const dims = height * width * channels;
  const errors = [...tallies.values()].map((entry) => errorOf(entry, { t, rows, dims }));
  for (const { sum, squares } of tallies.values()) tf.dispose([sum, squares]);
  tf.dispose([noisy, truth]);
  return errors;
}

const distinctCount = (labels: Int32Array) => new Set(labels).size;

/** Draws an index for each row from its weights, by inversion of their cumulative sums. */
function sampler(logWeights: Float32Array, rows: number, count: number): (uniforms: Float32Array) => Int32Array {
  const cumulative = new Float64Array(rows * count);
  for (let row = 0; row < rows; row++) {
    let total = 0;
    for (let i = 0; i < count; i++) cumulative[row * count + i] = total += Math.exp(logWeights[row * count + i]!);
  }
  return (uniforms) =>
    Int32Array.from(uniforms, (uniform, row) => {
      const start = row * count;
      const sought = uniform * cumulative[start + count - 1]!;
      let [low, high] = [0, count - 1];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (cumulative[start + middle]! > sought) high = middle;
        else low = middle + 1;
      }
      return low;
    });
}

/** Sums over draws of an estimate's deviations from the truth. */
interface Tally {
  readonly estimator: string;
  readonly references: number;
  sum: tf.Tensor;
  squares: tf.Tensor;
  draws: number;
}

const newTally = (estimator: string, references: number): Tally => ({
  estimator,
  references,
  sum: tf.keep(tf.scalar(0)),
  squares: tf.keep(tf.scalar(0)),
  draws: 0,
});

function add(tally: Tally, estimate: tf.Tensor, truth: tf.Tensor): void {
  const deviation = tf.sub(estimate, truth);
  const old = [tally.sum, tally.squares];
  tally.sum = tf.keep(tf.add(tally.sum, deviation));
  tally.squares = tf.keep(tf.add(tally.squares, tf.sum(tf.reshape(tf.square(deviation), [truth.shape[0]!, -1]), 1)));
  tally.draws++;
  tf.dispose(old);
}

function errorOf(
  { estimator, references, sum, squares, draws }: Tally,
  { t, rows, dims }: { t: number; rows: number; dims: number },
): EstimatorError {
  const sums = sum.dataSync();
  const squareSums = squares.dataSync();
  const biases: number[] = [];
  const variances: number[] = [];
  for (let row = 0; row < rows; row++) {
    let square = 0;
    for (let d = 0; d < dims; d++) square += (sums[row * dims + d]! / draws) ** 2;
    const variance = draws > 1 ? (Math.max(squareSums[row]! / draws - square, 0) * draws) / (draws - 1) : 0;
    biases.push((square - variance / draws) / dims);
    variances.push(variance / dims);
  }
  const bias = meanAndDeviation(biases);
  const variance = meanAndDeviation(variances).mean;
  return {
    t,
    estimator,
    references,
    bias: bias.mean,
    // The draws' references are shared by the rows, whose errors are therefore alike at large t.
    biasError: Math.max(bias.deviation / Math.sqrt(rows), variance / draws),
    variance,
  };
}
