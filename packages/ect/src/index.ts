export { distillationEstimator, type Estimate, type Estimator, oneSampleEstimator } from './estimators';
export { consistencyLoss } from './loss';
export { l1, l2, type Metric, type PseudoHuberOptions, pseudoHuber, squaredL2 } from './metrics';
export type { ConsistencyModel, TrainingBatch } from './model';
export { ectRecipes, type Objective, objectiveOf, type Recipe } from './recipes';
export { type ConsistencyTarget, type ConsistencyTargetOptions, consistencyTarget } from './target';
