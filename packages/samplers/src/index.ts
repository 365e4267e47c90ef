export { type MultistepOptions, middleLevels, sampleMultistep, sampleOneStep } from './consistency/multistep';
export { type PhasedOptions, samplePhased } from './consistency/phased';
export {
  type MiddleLevelsOptions,
  type Score,
  type SearchResult,
  searchMiddleLevels,
  type TernaryOptions,
  type Trial,
  ternarySearch,
} from './consistency/search';
export { type RandomnessOptions, sampleAncestralEuler } from './diffusion/ancestral';
export type { ChurnOptions } from './diffusion/churn';
export { type DpmFastOptions, sampleDpm2, sampleDpm3, sampleDpmFast } from './diffusion/dpm-solver';
export { sampleDpmPlusPlus2M, sampleDpmPlusPlus2S, sampleDpmPlusPlus3M } from './diffusion/dpm-solver-plus-plus';
export { type DiffusionOptions, sampleEuler } from './diffusion/euler';
export { sampleHeun } from './diffusion/heun';
export { type DeisOptions, type LmsOptions, sampleDeis, sampleLms } from './diffusion/multistep';
export { type RungeKuttaOptions, sampleRungeKutta45 } from './diffusion/runge-kutta';
export { sampleUniPc, type UniPcOptions, type UniPcVariant } from './diffusion/uni-pc';
export { type ColourisationOptions, colourise } from './editing/colourisation';
export { type InpaintingOptions, inpaint } from './editing/inpainting';
export { type InterpolationOptions, interpolateNoise, sampleInterpolation } from './editing/interpolation';
export { type EditingOptions, type KnownPart, keepKnown, sampleKnownPart } from './editing/known-part';
export { fromStrokes, type StrokesOptions } from './editing/strokes';
export { type SuperResolutionOptions, superResolve } from './editing/super-resolution';
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
