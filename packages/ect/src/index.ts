export { baselineRecipes } from './baselines';
export { type DistillationOptions, distillationEstimator, type Solver } from './distillation';
export { type Estimate, type Estimator, oneSampleEstimator } from './estimators';
export { consistencyLoss } from './loss';
export {
  ictConstant,
  l1,
  l2,
  type Metric,
  type PerceptualOptions,
  type PseudoHuberOptions,
  perceptual,
  pseudoHuber,
  squaredL2,
} from './metrics';
export type { ConsistencyModel, TrainingBatch } from './model';
export { type Objective, type ObjectiveParts, objectiveOf } from './objective';
export type {
  CurriculumSetting,
  EstimatorSetting,
  MetricSetting,
  NoiseSetting,
  Recipe,
  ScheduleSetting,
  TargetSetting,
  WeightingSetting,
} from './recipe';
export { ectRecipes } from './recipes';
export { type ConsistencyTarget, type ConsistencyTargetOptions, consistencyTarget } from './target';
