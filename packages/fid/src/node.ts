export { type FeatureChunkOptions, featureChunks } from './cached-features';
export { type DecodedImage, decodeImage } from './decode';
export { type ImageEntry, type ImageSource, imageBatches, openImages } from './image-source';
export { findInceptionWeights, type InceptionSource, loadInception } from './inception-file';
