export { type DecodedImage, decodeImage } from '@cm/datasets/node';
export { type FeatureChunkOptions, featureChunks } from './cached-features';
export { dinoV2Sha256, findDinoV2Weights, loadDinoV2 } from './dino-file';
export { type ImageEntry, type ImageSource, imageBatches, openImages } from './image-source';
export { findInceptionWeights, inceptionSha256, loadInception } from './inception-file';
export { readStatisticsFile } from './statistics-of-path';
export type { WeightsSource } from './weights-file';
