export { type MultistepOptions, middleLevels, sampleMultistep, sampleOneStep } from './consistency/multistep';
export { type PhasedOptions, samplePhased } from './consistency/phased';
export type { ChurnOptions } from './diffusion/churn';
export { type DiffusionOptions, sampleEuler } from './diffusion/euler';
export { sampleHeun } from './diffusion/heun';
export { type ClassifierFreeOptions, classifierFreeGuided, type GuidanceOptions, guided } from './guidance';
export type { Denoiser, SampleOptions, SamplerStep } from './model';
export {
  exponentialGrid,
  type GridOptions,
  interpolatedGrid,
  type LevelOptions,
  uniformGrid,
  variancePreservingGrid,
} from './noise-levels';
export { toPixels } from './pixels';
