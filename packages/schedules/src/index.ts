export {
  type ConsistencySchedule,
  type FixedGapScheduleOptions,
  fixedGapSchedule,
  type GapFactorOptions,
  gapFactor,
  type NoisePair,
  type ProgressiveOptions,
  progressiveSchedule,
  smoother,
} from './consistency';
export { constant, type InverseSquareRootOptions, inverseSquareRoot, type LearningRate } from './learning-rate';
export { type KarrasGridOptions, karrasGrid, type LogNormalOptions, logNormalNoiseLevels } from './noise-levels';
export { type PhaseGrid, type PhaseGridOptions, phaseGrid } from './phases';
export { edmWeighting, inverseGap, uniformWeighting, type Weighting } from './weighting';
