import * as tf from '@tensorflow/tfjs-core';
import { fused } from './fused';
import { mapTensors, sameTensors } from './maps';

/**
 * The decay β of an average over training, for one update: ema ← β·ema + (1 − β)·params. `time` is the training time after the
 * update and `delta` what has passed since the one before, both in steps or both in images.
 */
export type EmaDecay = (time: number, delta?: number) => number;

/** The same decay always, whatever the time: `decay` per update, from 0 to below 1. */
export function constantEma({ decay }: { readonly decay: number }): EmaDecay {
  if (!(decay >= 0 && decay < 1)) throw new Error(`constantEma: decay is ${decay}, expected from 0 to below 1`);
  return () => decay;
}

/** Length of a power-function average: relative width σ_rel of its profile, or the exponent γ itself. */
export type PowerFunctionEmaOptions = { readonly sigmaRel: number } | { readonly exponent: number };

/**
 * EDM2's power-function average (Karras et al., arXiv 2312.02696, Eq. 127): β(t) = (1 − Δt/t)^(γ + 1), whose profile is
 * proportional to t^γ and so stretches with training. β is 0 at the first update.
 *
 * @throws Error when σ_rel is not in (0, 0.28] or γ is below 0
 *
 * @example
 * ```ts
 * import { powerFunctionEma } from '@cm/optimizers';
 *
 * const decay = powerFunctionEma({ sigmaRel: 0.1 });
 * console.log(decay(1), decay(100), decay(10_000)); // 0 0.923 0.9992
 * ```
 */
export function powerFunctionEma(options: PowerFunctionEmaOptions): EmaDecay {
  const gamma = 'exponent' in options ? options.exponent : powerFunctionExponent(options.sigmaRel);
  if (!(gamma >= 0)) throw new Error(`powerFunctionEma: exponent is ${gamma}, expected 0 or more`);
  return (time, delta = 1) => {
    if (!(time > 0 && delta > 0 && delta <= time)) {
      throw new Error(`powerFunctionEma: time ${time} and delta ${delta}, expected 0 < delta ≤ time`);
    }
    return (1 - delta / time) ** (gamma + 1);
  };
}

/**
 * The exponent γ whose profile has relative width σ_rel: the root of σ² = (γ + 1)/((γ + 2)²(γ + 3)) (Eq. 126).
 *
 * @throws Error when σ_rel is not in (0, 0.28]: the uniform average (γ = 0) has 1/√12 ≈ 0.289
 */
export function powerFunctionExponent(sigmaRel: number): number {
  if (!(sigmaRel > 0 && sigmaRel <= 0.28)) {
    throw new Error(`powerFunctionExponent: sigmaRel is ${sigmaRel}, expected above 0 and at most 0.28`);
  }
  const width = (gamma: number) => Math.sqrt((gamma + 1) / ((gamma + 2) ** 2 * (gamma + 3)));
  // The width falls with γ ≥ 0, as 1/γ: bisect to the last bit.
  let low = 0;
  let high = 2 / sigmaRel;
  for (let i = 0; i < 200 && low < high; i++) {
    const middle = (low + high) / 2;
    if (middle === low || middle === high) break;
    if (width(middle) > sigmaRel) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/**
 * β·ema + (1 − β)·params. New tensors.
 *
 * @example
 * ```ts
 * import { updateEma } from '@cm/optimizers';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * const ema = updateEma({ w: tf.scalar(0) }, { w: tf.scalar(1) }, 0.9);
 * console.log(ema.w!.arraySync()); // 0.1
 * ```
 */
export function updateEma(ema: tf.NamedTensorMap, params: tf.NamedTensorMap, beta: number): tf.NamedTensorMap {
  if (!(beta >= 0 && beta <= 1)) throw new Error(`updateEma: beta is ${beta}, expected from 0 to 1`);
  sameTensors('updateEma', 'ema', ema, params);
  return mapTensors(ema, (a, name) => {
    const b = params[name]!;
    const combined = fused('LinearCombination', { a, b }, { alpha: beta, beta: 1 - beta });
    return combined?.[0] ?? tf.add(tf.mul(a, beta), tf.mul(b, 1 - beta));
  });
}

/** One average over training: its time, and the relative width σ_rel of its profile. */
export interface EmaProfile {
  /** Training time at which it was (or would be) taken, in images or steps. */
  readonly time: number;
  readonly sigmaRel: number;
}

/**
 * Post-hoc reconstruction (EDM2 section 3.3, Eq. 144): coefficients by which stored averages are summed so that the result's profile
 * is, in the least-squares sense, the wanted one; then scaled to sum to one, so that parameters that never change stay as they are.
 *
 * @returns a coefficient for each stored average
 *
 * @example
 * ```ts
 * import { posthocCoefficients } from '@cm/optimizers';
 *
 * // Averages of two lengths at two moments; wanted: one of another length at the end.
 * const stored = [1000, 2000].flatMap((time) => [0.05, 0.1].map((sigmaRel) => ({ time, sigmaRel })));
 * console.log(posthocCoefficients(stored, { time: 2000, sigmaRel: 0.07 })); // [0.0001, -0.0022, 0.4392, 0.5629]
 * ```
 */
export function posthocCoefficients(stored: readonly EmaProfile[], wanted: EmaProfile): Float64Array {
  if (stored.length === 0) throw new Error('posthocCoefficients: stored is empty, expected at least one average');
  const profiles = stored.map(({ time, sigmaRel }) => ({ time, gamma: powerFunctionExponent(sigmaRel) }));
  const target = { time: wanted.time, gamma: powerFunctionExponent(wanted.sigmaRel) };
  const coefficients = solve(
    profiles.map((a) => Float64Array.from(profiles, (b) => overlap(a, b))),
    Float64Array.from(profiles, (a) => overlap(a, target)),
  );
  const sum = coefficients.reduce((total, coefficient) => total + coefficient, 0);
  return coefficients.map((coefficient) => coefficient / sum);
}

/** Inner product of two power-function profiles (Eq. 151). */
function overlap(a: { time: number; gamma: number }, b: { time: number; gamma: number }): number {
  const ratio = (a.time / b.time) ** (a.time < b.time ? b.gamma : -a.gamma);
  return ((a.gamma + 1) * (b.gamma + 1) * ratio) / ((a.gamma + b.gamma + 1) * Math.max(a.time, b.time));
}

/** Solves a linear system by elimination with partial pivoting. */
function solve(rows: Float64Array[], right: Float64Array): Float64Array {
  const n = right.length;
  for (let column = 0; column < n; column++) {
    let pivot = column;
    for (let row = column + 1; row < n; row++) {
      if (Math.abs(rows[row]![column]!) > Math.abs(rows[pivot]![column]!)) pivot = row;
    }
    if (rows[pivot]![column] === 0) throw new Error('posthocCoefficients: two stored averages have the same profile');
    [rows[column], rows[pivot]] = [rows[pivot]!, rows[column]!];
    [right[column], right[pivot]] = [right[pivot]!, right[column]!];
    for (let row = column + 1; row < n; row++) {
      const factor = rows[row]![column]! / rows[column]![column]!;
      for (let k = column; k < n; k++) rows[row]![k]! -= factor * rows[column]![k]!;
      right[row]! -= factor * right[column]!;
    }
  }
  for (let row = n - 1; row >= 0; row--) {
    for (let k = row + 1; k < n; k++) right[row]! -= rows[row]![k]! * right[k]!;
    right[row]! /= rows[row]![row]!;
  }
  return right;
}

/** Σ coefficients·averages: the parameters of a reconstructed average. New tensors. */
export function reconstructEma(
  averages: readonly tf.NamedTensorMap[],
  coefficients: ArrayLike<number>,
): tf.NamedTensorMap {
  if (averages.length === 0 || averages.length !== coefficients.length) {
    throw new Error(
      `reconstructEma: ${averages.length} averages and ${coefficients.length} coefficients, expected as many of both`,
    );
  }
  for (const average of averages) sameTensors('reconstructEma', 'an average', average, averages[0]!);
  return mapTensors(averages[0]!, (_, name) =>
    averages.map((average, i) => tf.mul(average[name]!, coefficients[i]!)).reduce((sum, term) => tf.add(sum, term)),
  );
}
