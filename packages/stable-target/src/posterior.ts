import * as tf from '@tensorflow/tfjs-core';
import { fused } from './fused';
import type { Chunk, ReferenceSet } from './reference-set';

/** Rows of a batch, flattened: what the posterior of each depends on besides the references. */
export interface Rows {
  readonly x0: tf.Tensor2D;
  readonly noise: tf.Tensor2D;
  /** s = σ/α of each row. */
  readonly scales: Float64Array;
  /** Index of each row's own sample among the references, −1 for none. */
  readonly own: Int32Array;
  readonly logPrior?: tf.Tensor1D | tf.Tensor2D;
}

export interface Sums {
  readonly mean: tf.Tensor2D;
  readonly effectiveSampleSize: tf.Tensor1D;
  readonly variance: tf.Tensor1D;
}

/** The posterior of each row over all references and its own sample. */
export function posterior(references: ReferenceSet, rows: Rows): Sums {
  const [batch, dims] = rows.x0.shape;
  const queries = queryMatrix(references, rows);
  const x0 = tf.sub(rows.x0, references.mean) as tf.Tensor2D;
  // The sums begin with the own sample: its row [x', |x'|², 1] at weight exp(0), so that the last column sums weights.
  let running: Running = {
    max: tf.reshape(ownLogit(rows), [batch, 1]),
    squares: tf.ones([batch, 1]),
    sums: tf.concat([x0, tf.sum(tf.square(x0), 1, true) as tf.Tensor2D, tf.ones([batch, 1])], 1),
  };
  for (const chunk of references.chunks) {
    const next = tf.tidy(() =>
      references.withChunk(chunk, (matrix) => addChunk(running, queries, matrix, chunk, rows)),
    );
    tf.dispose({ ...running });
    running = next;
  }

  const { sums, squares } = running;
  const total = tf.slice2d(sums, [0, dims + 1], [batch, 1]);
  const centred = tf.div(tf.slice2d(sums, [0, 0], [batch, dims]), total);
  const meanSquare = tf.div(tf.slice2d(sums, [0, dims], [batch, 1]), total);
  const variance = tf.sub(meanSquare, tf.sum(tf.square(centred), 1, true));
  // Where the own sample has all the weight the mean is x_0 itself, not x_0 to the rounding of the centring.
  const alone = tf.equal(total, tf.ones([batch, 1]));
  return {
    mean: tf.where(tf.tile(alone, [1, dims]), rows.x0, tf.add(centred, references.mean)) as tf.Tensor2D,
    effectiveSampleSize: tf.reshape(tf.div(tf.square(total), squares), [batch]),
    variance: tf.reshape(tf.div(tf.maximum(variance, 0), dims), [batch]),
  };
}

/** Of each row, over the references so far: the largest logit, and relative to it Σ W² and the sums Σ W·[x', |x'|², 1]. */
export type Running = {
  /** [batch, 1] */
  readonly max: tf.Tensor2D;
  /** [batch, 1] */
  readonly squares: tf.Tensor2D;
  /** [batch, dims + 2] */
  readonly sums: tf.Tensor2D;
};

/**
 * Takes a chunk of references in, own samples left out: they count by themselves, in what the sums begin with. By the fused kernel where the
 * backend has it. That one takes weights below e⁻⁴⁰ of the largest as 0, and leaves rows that have no others out of the second product.
 */
export function addChunk(
  { max, squares, sums }: Running,
  queries: tf.Tensor2D,
  matrix: tf.Tensor2D,
  chunk: Chunk,
  rows: Pick<Rows, 'own' | 'logPrior'>,
): Running {
  const { own, logPrior } = rows;
  const prior = logPrior && { prior: logPrior };
  const inputs = { queries, rows: matrix, own: tf.tensor1d(own, 'int32'), max, squares, sums, ...prior };
  const after = fused('PosteriorSums', inputs, { begin: chunk.begin }) as tf.Tensor2D[] | undefined;
  if (after) return { max: after[0]!, squares: after[1]!, sums: after[2]! };
  const omitted = tf.fill([own.length], Number.NEGATIVE_INFINITY) as tf.Tensor1D;
  const logits = chunkLogits(queries, matrix, chunk, rows, omitted);
  const top = tf.maximum(max, tf.max(logits, 1, true));
  const weights = tf.exp(tf.sub(logits, top)) as tf.Tensor2D;
  const rescale = tf.exp(tf.sub(max, top));
  return {
    max: top as tf.Tensor2D,
    squares: tf.add(tf.mul(squares, tf.square(rescale)), tf.sum(tf.square(weights), 1, true)),
    sums: tf.add(tf.mul(sums, rescale), tf.matMul(weights, matrix)),
  };
}

/**
 * Rows [(x_0' + s·ε)/s², −1/(2s²), −(|x_0'|² + 2s·ε·x_0')/(2s²)], whose product with a reference's row [x', |x'|², 1] is
 * the logit of that reference relative to the own sample's: the expanded squares of all that depends on one side.
 */
export function queryMatrix(references: ReferenceSet, { x0, noise, scales }: Rows): tf.Tensor2D {
  return tf.tidy(() => {
    const column = (f: (s: number) => number) => tf.tensor2d(Float32Array.from(scales, f), [scales.length, 1]);
    const centred = tf.sub(x0, references.mean);
    const toward = tf.add(
      tf.mul(
        centred,
        column((s) => 1 / s ** 2),
      ),
      tf.mul(
        noise,
        column((s) => 1 / s),
      ),
    );
    // |x_0'|² + 2s·ε·x_0' = x_0'·(x_0' + 2s·ε)
    const constant = tf.sum(
      tf.mul(
        centred,
        tf.add(
          centred,
          tf.mul(
            noise,
            column((s) => 2 * s),
          ),
        ),
      ),
      1,
      true,
    );
    const half = column((s) => -1 / (2 * s ** 2));
    return tf.concat([toward as tf.Tensor2D, half, tf.mul(constant, half) as tf.Tensor2D], 1);
  });
}

/** Logit of the own sample: 0, or its log-prior where it has one. */
export function ownLogit({ own, logPrior }: Rows): tf.Tensor1D {
  const batch = own.length;
  if (!logPrior) return tf.zeros([batch]);
  return tf.tidy(() => {
    const count = logPrior.shape[logPrior.rank - 1]!;
    const among = tf.tensor1d(
      Array.from(own, (index) => index >= 0),
      'bool',
    );
    const at = Int32Array.from(own, (index, row) => Math.max(index, 0) + (logPrior.rank === 2 ? row * count : 0));
    return tf.where(among, tf.gather(tf.reshape(logPrior, [-1]), tf.tensor1d(at, 'int32')), tf.zeros([batch]));
  });
}

/** Logits [batch, chunk] relative to the own sample's likelihood, with the given ones, by row, in the places of own samples. */
export function chunkLogits(
  queries: tf.Tensor2D,
  matrix: tf.Tensor2D,
  { begin, end }: Chunk,
  { own, logPrior }: Pick<Rows, 'own' | 'logPrior'>,
  ownLogits: tf.Tensor1D,
) {
  let logits = tf.matMul(queries, matrix, false, true);
  if (logPrior) {
    const prior =
      logPrior.rank === 1 ? tf.slice(logPrior, begin, end - begin) : tf.slice(logPrior, [0, begin], [-1, end - begin]);
    logits = tf.add(logits, prior);
  }
  const rows = Array.from(own.keys()).filter((row) => own[row]! >= begin && own[row]! < end);
  if (rows.length === 0) return logits;
  const places = rows.map((row) => [row, own[row]! - begin]);
  const values = tf.gather(ownLogits, tf.tensor1d(rows, 'int32'));
  return tf.tensorScatterUpdate(logits, tf.tensor2d(places, undefined, 'int32'), values) as tf.Tensor2D;
}
