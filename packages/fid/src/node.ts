export { findInceptionWeights, type InceptionSource, loadInception } from './inception-file';
