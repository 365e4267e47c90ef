import * as tf from '@tensorflow/tfjs-core';
import type { TorchBackend } from '../backend';
import { onHost } from './host';

/** What a kernel is given. */
export interface Given<Inputs extends string, Attributes> {
  readonly inputs: Readonly<Record<Inputs, tf.TensorInfo>>;
  readonly attrs: Attributes;
  readonly backend: TorchBackend;
}

/** A kernel of this backend, by tfjs's name; with strings among its inputs, tfjs's own CPU backend computes it. */
export function define<Inputs extends string = never, Attributes = unknown>(
  kernelName: string,
  run: (given: Given<Inputs, Attributes>) => tf.TensorInfo | tf.TensorInfo[],
): tf.KernelConfig {
  const host = onHost(kernelName);
  return {
    kernelName,
    backendName: 'torch',
    kernelFunc: (params) => {
      for (const name in params.inputs) if (params.inputs[name]?.dtype === 'string') return host(params);
      return run(params as unknown as Given<Inputs, Attributes>);
    },
  };
}

/** Its inputs as the list that kernels over many tensors get. */
export const listOf = (inputs: object): tf.TensorInfo[] => Object.values(inputs) as tf.TensorInfo[];

/** Axes as non-negative numbers. */
export const axesOf = (axis: number | number[], { shape }: tf.TensorInfo): number[] =>
  tf.util.parseAxisParam(axis, shape);
