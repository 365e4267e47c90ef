export {
  type DinoV2Model,
  type DinoV2Options,
  type DinoV2Size,
  type DinoV2Weights,
  dinoV2Extractor,
  dinoV2Features,
  dinoV2ParameterShapes,
  dinoV2Sizes,
  prepareDinoV2,
} from './dino';
export {
  computeFeatures,
  computeStatistics,
  type ExtractOptions,
  type FeatureExtractor,
  type ImageBatches,
  quantize,
} from './extract';
export { frechetDistance } from './frechet';
export {
  foldInception,
  type InceptionFeature,
  type InceptionWeights,
  inceptionExtractor,
  inceptionFeatureSize,
  inceptionFeatures,
} from './inception';
export { type InceptionScore, type InceptionScoreOptions, inceptionScore } from './inception-score';
export { inceptionParameterShapes } from './inception-shapes';
export { kid, type PolynomialKernel } from './kid';
export { type KidOverSubsets, type KidSubsetsOptions, kidOverSubsets } from './kid-subsets';
export { type ManifoldMetrics, manifoldMetrics } from './manifold';
export { type PrecisionRecall, precisionRecall } from './precision-recall';
export { type ResampleOptions, resampleBicubic } from './resample';
export {
  type FeatureAccumulator,
  type FeatureMatrix,
  type FeatureMoments,
  type FeatureStatistics,
  featureAccumulator,
  featureStatistics,
  mergeMoments,
} from './statistics';
export {
  type Gaussian,
  readStatistics,
  type StatisticsKind,
  type StoredStatistics,
  writeStatistics,
} from './statistics-file';
