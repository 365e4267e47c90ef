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
export { inceptionParameterShapes } from './inception-shapes';
export { kid, type PolynomialKernel } from './kid';
export { type PrecisionRecall, precisionRecall } from './precision-recall';
export {
  type FeatureAccumulator,
  type FeatureMatrix,
  type FeatureMoments,
  type FeatureStatistics,
  featureAccumulator,
  featureStatistics,
  mergeMoments,
} from './statistics';
