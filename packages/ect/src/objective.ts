import {
  type Curriculum,
  curriculumDecay,
  edmWeighting,
  exponentialCurriculum,
  fixedGapSchedule,
  geometricCurriculum,
  gridSchedule,
  inverseGap,
  karrasNoiseLevels,
  logNormalNoiseLevels,
  type PhaseGrid,
  phaseGrid,
  progressiveSchedule,
  snrWeighting,
  squareRootCurriculum,
  truncatedSnrWeighting,
  uniformWeighting,
  type Weighting,
} from '@cm/schedules';
import { l1, l2, type Metric, type PerceptualOptions, perceptual, pseudoHuber, squaredL2 } from './metrics';
import type {
  CurriculumSetting,
  MetricSetting,
  NoiseSetting,
  Recipe,
  ScheduleSetting,
  WeightingSetting,
} from './recipe';
import type { ConsistencyTargetOptions } from './target';

/** What a recipe means for `consistencyTarget` and `consistencyLoss`, and the phases that its sampler shares with them. */
export interface Objective extends Pick<ConsistencyTargetOptions, 'schedule' | 'weighting'> {
  /** Noise levels of a batch, from one standard-normal number a row. */
  readonly noiseLevels: (normals: ArrayLike<number>) => Float32Array;
  readonly metric: Metric;
  readonly phases: PhaseGrid;
  /** Decay at an iteration of the average that teaches: the target network is μ·target + (1 − μ)·student after each step. 0: the student itself. */
  readonly targetDecay: (iteration: number) => number;
}

/** Parts of an objective that are no data. */
export interface ObjectiveParts {
  /** Needed by recipes with a perceptual metric: the network whose features it compares. */
  readonly perceptual?: PerceptualOptions;
}

/**
 * The noise levels, schedule, weighting and metric that a recipe names. The estimator, which needs data or a model, is passed beside them:
 * `estimatorOf` of `@cm/sct` makes it.
 *
 * @throws RangeError when one of its numbers is out of range; Error when its metric is perceptual and `parts` has none
 *
 * @example
 * ```ts
 * import { ectRecipes, objectiveOf } from '@cm/ect';
 *
 * const { schedule, weighting } = objectiveOf(ectRecipes['ect-cifar10']);
 * const pair = schedule(2, 199_999);
 * console.log(pair.r, weighting(pair)); // 1.98 65.5
 * ```
 */
export function objectiveOf(recipe: Recipe, parts: ObjectiveParts = {}): Objective {
  const phases = phaseGrid({ phases: recipe.phases });
  return {
    noiseLevels: noiseLevelsOf(recipe.noise),
    schedule: scheduleOf(recipe.schedule, phases),
    weighting: weightingOf(recipe.weighting),
    metric: metricOf(recipe.metric, parts),
    phases,
    targetDecay: targetDecayOf(recipe),
  };
}

const noiseLevelsOf = (noise: NoiseSetting) => (normals: ArrayLike<number>) =>
  'rho' in noise ? karrasNoiseLevels(normals, noise) : logNormalNoiseLevels(normals, noise);

function scheduleOf(schedule: ScheduleSetting, phases: PhaseGrid) {
  if ('curriculum' in schedule) return gridSchedule({ levels: curriculumOf(schedule.curriculum), phases });
  if ('fraction' in schedule) return fixedGapSchedule({ ...schedule, phases });
  return progressiveSchedule({ ...schedule, phases });
}

function curriculumOf(curriculum: CurriculumSetting): Curriculum {
  switch (curriculum.name) {
    case 'constant':
      return () => curriculum.levels;
    case 'square-root':
      return squareRootCurriculum(curriculum);
    case 'exponential':
      return exponentialCurriculum(curriculum);
    case 'geometric':
      return geometricCurriculum(curriculum);
  }
}

function weightingOf(weighting: WeightingSetting): Weighting {
  switch (weighting.name) {
    case 'uniform':
      return uniformWeighting;
    case 'truncated-snr':
      return truncatedSnrWeighting;
    case 'inverse-gap':
      return inverseGap(weighting);
    case 'snr':
      return snrWeighting(weighting);
    case 'edm':
      return edmWeighting(weighting);
  }
}

function metricOf(metric: MetricSetting, parts: ObjectiveParts): Metric {
  switch (metric.name) {
    case 'pseudo-huber':
      return pseudoHuber(metric);
    case 'l1':
      return l1();
    case 'l2':
      return l2();
    case 'squared-l2':
      return squaredL2();
    case 'perceptual':
      if (!parts.perceptual) {
        throw new Error(`objectiveOf: perceptual is missing, expected the features of ${metric.network}`);
      }
      return perceptual(parts.perceptual);
  }
}

function targetDecayOf({ target, schedule }: Recipe): Objective['targetDecay'] {
  if (target.name === 'student') return () => 0;
  if (target.name === 'average') return () => target.decay;
  if (!('curriculum' in schedule) || schedule.curriculum.name === 'constant') {
    throw new Error('objectiveOf: target is curriculum-average, expected a schedule with a curriculum that grows');
  }
  return curriculumDecay(curriculumOf(schedule.curriculum), { decay: target.decay, s0: schedule.curriculum.s0 });
}
