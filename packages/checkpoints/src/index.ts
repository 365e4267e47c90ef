export { bytesOf, type DType, fromFloat32, toFloat32 } from './dtypes';
export { CheckpointError } from './error';
export { type FileTensor, readSafetensors, type TensorFile, writeSafetensors } from './safetensors';
export { type FromTensorsOptions, fromTensors, toTensors } from './tensors';
