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
export {
  type Curriculum,
  type CurriculumOptions,
  curriculumDecay,
  exponentialCurriculum,
  geometricCurriculum,
  squareRootCurriculum,
} from './curriculum';
export { type GridScheduleOptions, gridSchedule } from './grid';
export { constant, type InverseSquareRootOptions, inverseSquareRoot, type LearningRate } from './learning-rate';
export {
  type KarrasGridOptions,
  karrasGrid,
  karrasNoiseLevels,
  type LogNormalOptions,
  logNormalNoiseLevels,
} from './noise-levels';
export { type PhaseGrid, type PhaseGridOptions, phaseGrid } from './phases';
export {
  edmWeighting,
  inverseGap,
  snrWeighting,
  truncatedSnrWeighting,
  uniformWeighting,
  type Weighting,
} from './weighting';
