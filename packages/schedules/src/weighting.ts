import { notNegative, positive } from './check';
import type { NoisePair } from './consistency';

/** The weight of a training row's loss. */
export type Weighting = (pair: NoisePair) => number;

/**
 * 1/(t − r + δ), SCT's weighting (section 4.2): at most 1/δ, however small the gap. δ = 0 is ECT's and iCT's 1/(t − r).
 * The gap comes from the ratio, so that it is exact where t and r nearly agree. The paper does not print its δ.
 *
 * @throws RangeError when `delta` is negative.
 *
 * @example
 * ```ts
 * import { inverseGap, progressiveSchedule } from '@cm/schedules';
 *
 * const weight = inverseGap({ delta: 1e-3 });
 * const schedule = progressiveSchedule({ q: 2, d: 25_000 });
 * console.log(weight(schedule(1, 0)), weight(schedule(1, 199_999))); // 0.999 75.1
 * ```
 */
export function inverseGap({ delta = 0 }: { readonly delta?: number } = {}): Weighting {
  notNegative('inverseGap', 'delta', delta);
  return ({ gap }) => 1 / (gap + delta);
}

/**
 * (t² + σ_d²)/(t·σ_d)², the weighting that gives a preconditioned denoiser's effective loss unit weight at every noise level.
 *
 * @param options `sigmaData`: σ_d, the standard deviation of the data. Default 0.5.
 * @throws RangeError when `sigmaData` is not positive.
 * @see Karras et al. (arXiv 2206.00364), Table 1 (loss weighting λ).
 */
export function edmWeighting({ sigmaData = 0.5 }: { readonly sigmaData?: number } = {}): Weighting {
  positive('edmWeighting', 'sigmaData', sigmaData);
  return ({ t }) => 1 / sigmaData ** 2 + 1 / t ** 2;
}

/**
 * SNR + offset, the signal-to-noise ratio being 1/t² (images have unit signal): 0 for the SNR itself, 1 for that of a velocity's loss, 1/σ_d² for
 * {@link edmWeighting}.
 *
 * @throws RangeError when `offset` is negative.
 * @see Salimans and Ho (arXiv 2202.00512), section 4, for SNR + 1; Song et al. (arXiv 2303.01469) for their use in consistency models
 */
export function snrWeighting({ offset = 0 }: { readonly offset?: number } = {}): Weighting {
  notNegative('snrWeighting', 'offset', offset);
  return ({ t }) => 1 / t ** 2 + offset;
}

/**
 * max(SNR, 1) = max(1/t², 1): the SNR, truncated so that no noise level is neglected.
 *
 * @see Salimans and Ho (arXiv 2202.00512), section 4
 */
export const truncatedSnrWeighting: Weighting = ({ t }) => Math.max(1 / t ** 2, 1);

/** Every row counts 1. */
export const uniformWeighting: Weighting = () => 1;
