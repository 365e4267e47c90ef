export { type Output, run } from './command';
export { type Converted, type ConvertOptions, convert } from './convert';
export {
  type EvaluateOptions,
  evaluate,
  type ModelEvaluation,
  type ModelFacts,
  type SamplingEvaluation,
} from './evaluate';
export {
  type Evaluation,
  type FeatureOptions,
  fid,
  type MetricName,
  metricNames,
  type NetworkName,
  networkNames,
  type Resize,
  stats,
} from './fid';
export type { GenerateOptions } from './generate';
export { type Inspection, inspect, type TensorSummary } from './inspect';
export type { GuidanceChoice, ModelChoice } from './model-file';
export type { Json } from './plain';
export type { Progress } from './progress';
export { type SampleCommandOptions, type Sampled, sample } from './sample';
export type { TrainRecipe } from './train-recipe';
