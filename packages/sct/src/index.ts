export { describeRecipe } from './describe';
export {
  type GatheredReferences,
  type GatherReferences,
  type StableTargetEstimatorOptions,
  stableTargetEstimator,
} from './estimator';
export { type EstimatorParts, estimatorOf } from './estimator-of';
export { type RecipeName, recipes, type SctRecipe, sctRecipes } from './recipes';
