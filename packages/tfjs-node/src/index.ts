export { isInstalled } from './installation';
export { type TensorFlowOptions, useTensorFlow } from './use-tensorflow';
