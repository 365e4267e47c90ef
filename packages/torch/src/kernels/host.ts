import * as tf from '@tensorflow/tfjs-core';
import type { TorchBackend } from '../backend';

/**
 * A kernel that tfjs's plain CPU backend computes, on values brought to JavaScript and back: strings, ragged and sparse tensors, and
 * what is rare. The application imports '@tensorflow/tfjs-backend-cpu' if it needs one of them.
 *
 * @throws Error saying so, when it has not
 */
export function onHost(kernelName: string): tf.KernelFunc {
  return ({ inputs, attrs, backend }) => {
    const torch = backend as TorchBackend;
    const kernel = tf.getKernel(kernelName, 'cpu');
    const cpu = kernel && tf.findBackend('cpu');
    if (!kernel || !cpu) {
      throw new Error(
        `${kernelName}: the torch backend leaves this kernel to tfjs's CPU backend. Import '@tensorflow/tfjs-backend-cpu' for it.`,
      );
    }
    const given: tf.TensorInfo[] = [];
    const toHost = (x: tf.TensorInfo): tf.TensorInfo => {
      const values = torch.readSync(x.dataId);
      // Some of its kernels ask for the rank, which only tensors have.
      const info = { ...x, rank: x.shape.length, dataId: (cpu as tf.KernelBackend).write(values, x.shape, x.dtype) };
      given.push(info);
      return info;
    };
    const hosted = mapInputs(inputs, toHost);
    const outputs = kernel.kernelFunc({ inputs: hosted, attrs: attrs as tf.NamedAttrMap, backend: cpu });
    const list = Array.isArray(outputs) ? outputs : [outputs];
    const results = list.map(({ dataId, shape, dtype }) => ({
      dataId: torch.write((cpu as tf.KernelBackend).readSync(dataId) as tf.backend_util.BackendValues, shape, dtype),
      shape,
      dtype,
    }));
    for (const { dataId } of [...list, ...given]) (cpu as tf.KernelBackend).disposeData(dataId);
    return Array.isArray(outputs) ? results : results[0]!;
  };
}

/** Inputs are tensors by name, or a list; one of them may be a list or absent. */
function mapInputs(inputs: tf.NamedTensorInfoMap, f: (x: tf.TensorInfo) => tf.TensorInfo): tf.NamedTensorInfoMap {
  const mapped = (x: unknown): unknown => (Array.isArray(x) ? x.map(mapped) : x ? f(x as tf.TensorInfo) : x);
  if (Array.isArray(inputs)) return mapped(inputs) as tf.NamedTensorInfoMap;
  return Object.fromEntries(Object.entries(inputs).map(([name, x]) => [name, mapped(x)])) as tf.NamedTensorInfoMap;
}

/** The kernels that are only there. */
export const hostKernels: tf.KernelConfig[] = [
  'Bincount',
  'BroadcastArgs',
  'CropAndResize',
  'DenseBincount',
  'Dilation2D',
  'Dilation2DBackpropFilter',
  'Dilation2DBackpropInput',
  'LRN',
  'LRNGrad',
  'MaxPoolWithArgmax',
  'Multinomial',
  'NonMaxSuppressionV3',
  'NonMaxSuppressionV4',
  'NonMaxSuppressionV5',
  'RaggedGather',
  'RaggedRange',
  'RaggedTensorToTensor',
  'RotateWithOffset',
  'SparseFillEmptyRows',
  'SparseReshape',
  'SparseSegmentMean',
  'SparseSegmentSum',
  'SparseToDense',
  'StaticRegexReplace',
  'StringNGrams',
  'StringSplit',
  'StringToHashBucketFast',
  'Transform',
  'Unique',
].map((kernelName) => ({ kernelName, backendName: 'torch', kernelFunc: onHost(kernelName) }));
