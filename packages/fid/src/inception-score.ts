import { key, permutation } from '@cm/random';
import type { FeatureMatrix } from './statistics';

/** How {@link inceptionScore} splits. */
export interface InceptionScoreOptions {
  /** Parts whose scores are averaged. Default 10. */
  readonly splits?: number;
  /** Images are shuffled first by this seed, so that their order in files (by class, say) does not matter; null: as they are. Default 0. */
  readonly seed?: number | null;
}

/** Mean over parts, and how far single parts lie from it. */
export interface InceptionScore {
  readonly mean: number;
  /** √(mean of squared differences from the mean). */
  readonly standardDeviation: number;
}

/**
 * The Inception score of generated images: exp of the mean divergence of a single image's classes from those of all,
 *
 *     exp(E_x KL(p(y given x) ‖ p(y))),   p(y given x) = softmax of the logits,
 *
 * in float64, over each of the parts. From 1 (all images alike, or none of a clear class) to the number of classes. As torch-fidelity,
 * papers take the logits without the last bias, `logits_unbiased`.
 *
 * @param logits [images, classes].
 * @throws RangeError when there are fewer images than parts, or a logit is NaN or infinite.
 * @see Salimans et al. 2016, _Improved Techniques for Training GANs_, section 4.
 *
 * @example
 * ```ts
 * import { inceptionScore } from '@cm/fid';
 *
 * // Logits that are sure, of four classes alike: the score is their number.
 * const values = Float32Array.from({ length: 16 }, (_, i) => (i % 5 === 0 ? 100 : 0));
 * console.log(inceptionScore({ shape: [4, 4], values }, { splits: 1 }).mean); // 4
 * ```
 */
export function inceptionScore(
  { shape: [rows, classes], values }: FeatureMatrix,
  { splits = 10, seed = 0 }: InceptionScoreOptions = {},
): InceptionScore {
  if (!(Number.isInteger(splits) && splits >= 1 && splits <= rows)) {
    throw new RangeError(`inceptionScore: splits is ${splits}, expected 1 to ${rows}, the number of images`);
  }
  if (values.length !== rows * classes) {
    throw new RangeError(`inceptionScore: logits has ${values.length} values, expected [${rows}, ${classes}]`);
  }
  if (!values.every(Number.isFinite)) {
    throw new RangeError('inceptionScore: logits hold NaN or infinite values, expected finite ones');
  }
  const order = seed === null ? Uint32Array.from({ length: rows }, (_, i) => i) : permutation(key(seed), rows);
  const scores = Array.from({ length: splits }, (_, part) => {
    const [from, to] = [Math.floor((part * rows) / splits), Math.floor(((part + 1) * rows) / splits)];
    return scoreOf(order.subarray(from, to), classes, values);
  });
  const mean = scores.reduce((sum, score) => sum + score, 0) / splits;
  const variance = scores.reduce((sum, score) => sum + (score - mean) ** 2, 0) / splits;
  return { mean, standardDeviation: Math.sqrt(variance) };
}

/** exp(Σ p log p / images − Σ q log q) with q the mean of p: the mean divergence from q. */
function scoreOf(images: Uint32Array, classes: number, logits: ArrayLike<number>): number {
  const q = new Float64Array(classes);
  const p = new Float64Array(classes);
  let within = 0;
  for (const image of images) {
    let largest = Number.NEGATIVE_INFINITY;
    for (let c = 0; c < classes; c++) largest = Math.max(largest, logits[image * classes + c]!);
    let sum = 0;
    for (let c = 0; c < classes; c++) {
      p[c] = Math.exp(logits[image * classes + c]! - largest);
      sum += p[c]!;
    }
    const log = Math.log(sum);
    for (let c = 0; c < classes; c++) {
      const share = p[c]! / sum;
      q[c]! += share / images.length;
      if (share > 0) within += (share * (logits[image * classes + c]! - largest - log)) / images.length;
    }
  }
  const between = q.reduce((sum, share) => sum + (share > 0 ? share * Math.log(share) : 0), 0);
  return Math.exp(within - between);
}
