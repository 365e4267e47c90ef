export {
  type DhariwalUNetConfig,
  dhariwalUNetConfig,
  type EdmConfig,
  type Options,
  type Preconditioning,
  type SongUNetConfig,
  songUNetConfig,
} from './config';
export { edmArguments, edmConfigFromArguments } from './constructor-arguments';
export { type DenoiserOptions, type EdmDenoiser, edmDenoiser } from './denoiser';
export { iddpmNoiseLevels } from './iddpm';
export { initEdm } from './init';
export { checkpointShapes, fromCheckpoint, toCheckpoint } from './layout';
export { edmFlops, edmParameterCount } from './parameters';
export { noiseLevelRange } from './preconditioning';
export { type EdmPreset, edmPresets } from './presets';
