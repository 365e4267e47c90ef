import {
  type ConsistencyModel,
  type DistillationOptions,
  distillationEstimator,
  type Estimator,
  oneSampleEstimator,
  type Recipe,
} from '@cm/ect';
import type { ReferenceSet } from '@cm/stable-target';
import { type GatherReferences, stableTargetEstimator } from './estimator';

/** What an estimator is made from besides a recipe. */
export interface EstimatorParts {
  /** The frozen diffusion model that a distillation recipe distils. */
  readonly diffusion?: ConsistencyModel;
  /** Guidance of the diffusion model. */
  readonly guidance?: NonNullable<DistillationOptions['guidance']>;
  /** All training images, for recipes that take all as references; with labels where they take the class's. */
  readonly references?: ReferenceSet;
  /** Gathers the batch of all processes, for recipes whose references are the batch. Default: this process's batch alone. */
  readonly gather?: GatherReferences;
}

/**
 * The estimator that a recipe names: the one sample, distillation, or the stable target. With `objectiveOf` it is all that a recipe says of the loss.
 *
 * @throws Error when the recipe needs a part that is missing
 *
 * @example
 * ```ts
 * import { objectiveOf } from '@cm/ect';
 * import { estimatorOf, recipes } from '@cm/sct';
 *
 * // With `consistencyTarget` and `consistencyLoss` of @cm/ect: all of a recipe that is not the network or the loop.
 * const recipe = recipes['sct-cifar10'];
 * const objective = { ...objectiveOf(recipe), estimator: estimatorOf(recipe) };
 * console.log(Object.keys(objective).sort()); // ['estimator', 'metric', 'noiseLevels', 'phases', 'schedule', 'targetDecay', 'weighting']
 * ```
 */
export function estimatorOf({ name, estimator }: Recipe, parts: EstimatorParts = {}): Estimator {
  switch (estimator.name) {
    case 'one-sample':
      return oneSampleEstimator();
    case 'distillation': {
      const diffusion = needed(name, parts, 'diffusion');
      return distillationEstimator(diffusion, { ...estimator, ...(parts.guidance && { guidance: parts.guidance }) });
    }
    case 'stable-target': {
      const { references } = estimator;
      const all = references === 'all' || references === 'all-of-class';
      return stableTargetEstimator({
        references: all ? needed(name, parts, 'references') : (parts.gather ?? 'batch'),
        classConditional: references === 'batch-of-class' || references === 'all-of-class',
      });
    }
  }
}

function needed<K extends keyof EstimatorParts>(name: string, parts: EstimatorParts, part: K) {
  const value = parts[part];
  if (value === undefined) throw new Error(`estimatorOf: ${part} is missing, expected for ${name}`);
  return value as NonNullable<EstimatorParts[K]>;
}
