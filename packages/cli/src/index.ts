export { type Output, run } from './command';
export { type Converted, type ConvertOptions, convert } from './convert';
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
export { type Inspection, inspect, type TensorSummary } from './inspect';
export type { Json } from './plain';
