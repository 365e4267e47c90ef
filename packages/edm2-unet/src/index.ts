export { type BlockSpec, blocksOf, type Edm2Config, edm2Config } from './config';
export { edm2Flops, edm2ParameterCount } from './flops';
export { initEdm2 } from './init';
export { fromCheckpoint, toCheckpoint } from './layout';
export { modulatedMpSilu, mpCat, mpFourier, mpSilu, mpSum, pixelNorm } from './magnitude-preserving';
export { type DenoiserOptions, type Edm2Denoiser, edm2Denoiser, edm2LogVariance } from './preconditioning';
export { type Edm2Size, edm2Preset } from './presets';
export { forceWeightNorm, normalizeWeights, type PreparedWeights } from './weights';
