export { type Estimate, type Estimator, oneSampleEstimator } from './estimators';
export { l1, l2, type Metric, type PseudoHuberOptions, pseudoHuber, squaredL2 } from './metrics';
export type { ConsistencyModel, TrainingBatch } from './model';
export { type ConsistencyTarget, type ConsistencyTargetOptions, consistencyLoss, consistencyTarget } from './objective';
export { ectRecipes, type Recipe } from './recipes';
