import { notNegative, positive } from './check';

/** The learning rate of an update; `step` is the number of updates made before it. */
export type LearningRate = (step: number) => number;

/**
 * The same learning rate always.
 *
 * @throws RangeError when `lr` is negative or not finite.
 */
export function constant(lr: number): LearningRate {
  notNegative('constant', 'lr', lr);
  return () => lr;
}

/** Options of {@link inverseSquareRoot}. */
export interface InverseSquareRootOptions {
  /** The learning rate up to `referenceSteps`. */
  readonly lr: number;
  /** t_ref: the step from which the rate decays. */
  readonly referenceSteps: number;
  /** Updates over which the rate first rises in equal parts to `lr`. Default 0. */
  readonly warmupSteps?: number;
}

/**
 * α(step) = lr / √max(step/t_ref, 1), times min((step + 1)/warmupSteps, 1): constant, then decaying as 1/√step.
 *
 * @throws RangeError when `lr` or `warmupSteps` is negative or `referenceSteps` is not positive.
 * @see Karras et al., Analyzing and Improving the Training Dynamics of Diffusion Models (arXiv 2312.02696), whose decay this is.
 *
 * @example
 * ```ts
 * import { inverseSquareRoot } from '@cm/schedules';
 *
 * const rate = inverseSquareRoot({ lr: 1e-3, referenceSteps: 2000, warmupSteps: 100 });
 * console.log(rate(50), rate(2000), rate(8000)); // 0.00051 0.001 0.0005
 * ```
 */
export function inverseSquareRoot({ lr, referenceSteps, warmupSteps = 0 }: InverseSquareRootOptions): LearningRate {
  notNegative('inverseSquareRoot', 'lr', lr);
  positive('inverseSquareRoot', 'referenceSteps', referenceSteps);
  notNegative('inverseSquareRoot', 'warmupSteps', warmupSteps);
  return (step) => {
    const warmup = warmupSteps > 0 ? Math.min((step + 1) / warmupSteps, 1) : 1;
    return (warmup * lr) / Math.sqrt(Math.max(step / referenceSteps, 1));
  };
}
