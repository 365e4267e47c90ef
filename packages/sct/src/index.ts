export { type StableTargetEstimatorOptions, stableTargetEstimator } from './estimator';
export { type SctRecipe, sctRecipes } from './recipes';
