import type * as tf from '@tensorflow/tfjs-core';
import { whole } from '../check';
import type { Denoiser } from '../model';
import { levelsOf, variancePreservingTime } from '../noise-levels';
import { run } from '../run';
import { adams } from './adams';
import type { DiffusionOptions } from './euler';

/** Options of {@link sampleLms}. */
export type LmsOptions = DiffusionOptions & {
  /** The number of noise predictions that a step extrapolates from, and the method's order: 1 to 4. Default 4. */
  readonly order?: 1 | 2 | 3 | 4;
};

/**
 * Linear multistep (Adams-Bashforth) in t = σ: DEIS's ρAB by another name. One evaluation a step.
 *
 * @throws Error when `order` is not from 1 to 4, or another option does not fit
 */
export function sampleLms(model: Denoiser, options: LmsOptions): tf.Tensor4D {
  const { order = 4 } = options;
  whole('sampleLms', 'order', order, 1, 4);
  return run('sampleLms', model, options, {
    levels: levelsOf('sampleLms', options),
    solver: adams(order, (sigma) => sigma),
  });
}

/** Options of {@link sampleDeis}. */
export type DeisOptions = DiffusionOptions & {
  /** r of tAB-r, the degree of the polynomial: 1 to 3. The method's order is r + 1. Default 3. */
  readonly order?: 1 | 2 | 3;
};

/**
 * DEIS, tAB-r: the noise prediction is extrapolated by a polynomial in the time of the variance-preserving process, for which its grids and
 * coefficients were made (see {@link variancePreservingGrid}). One evaluation a step.
 *
 * @throws Error when `order` is not from 1 to 3, or another option does not fit
 * @see Zhang and Chen, Fast Sampling of Diffusion Models with Exponential Integrator (arXiv 2204.13902), Eq. 14 and 15
 */
export function sampleDeis(model: Denoiser, options: DeisOptions): tf.Tensor4D {
  const { order = 3 } = options;
  whole('sampleDeis', 'order', order, 1, 3);
  return run('sampleDeis', model, options, {
    levels: levelsOf('sampleDeis', options),
    solver: adams(order + 1, variancePreservingTime),
  });
}
