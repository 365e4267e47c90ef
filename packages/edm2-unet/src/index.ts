export { dotProductAttention } from './attention';
export { type BlockSpec, blocksOf, type Edm2Config, edm2Config } from './config';
export {
  type ArgumentNames,
  argumentsFromOptions,
  type ConstructorArguments,
  edm2Arguments,
  edm2ConfigFromArguments,
  optionsFromArguments,
} from './constructor-arguments';
export { edm2Flops, edm2ParameterCount } from './flops';
export { initEdm2 } from './init';
export { checkInput, classRows, type Dropout, dropClasses, type ImageInput, rowsOf } from './input';
export { fromCheckpoint, toCheckpoint } from './layout';
export { modulatedMpSilu, mpCat, mpFourier, mpSilu, mpSum, pixelNorm } from './magnitude-preserving';
export { type DenoiserOptions, type Edm2Denoiser, edm2Denoiser, edm2LogVariance } from './preconditioning';
export { type Edm2Size, edm2Preset } from './presets';
export { ofLayer, recomputed } from './recompute';
export { downsample, upsample } from './resampling';
export { forceWeightNorm, normalizeWeights, type PreparedWeights } from './weights';
