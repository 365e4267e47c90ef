import * as tf from '@tensorflow/tfjs-core';
import type { TorchBackend } from './backend';
import { hasGpu } from './installation';

/** How exactly matrix products and convolutions are computed; tensors are float32 at the surface in any case. */
export type Precision = 'float32' | 'tf32' | 'bfloat16';

/** Settings of the torch backend. */
export interface TorchOptions {
  /** Where tensors live. Default: the first GPU where there is one, else the CPU. */
  readonly device?: 'cpu' | 'cuda' | `cuda:${number}`;
  /** Default 'float32'. */
  readonly precision?: Precision;
  /** Whether the same call gives the same bits every time, where libtorch can. Default false. */
  readonly deterministic?: boolean;
  /** Threads of the CPU's kernels. Default: one for each physical core that libtorch finds. */
  readonly threads?: number;
}

const PRECISIONS: readonly Precision[] = ['float32', 'tf32', 'bfloat16'];

/** The GPU's number, or −1 for the CPU. */
function deviceNumber(device: string): number {
  if (device === 'cpu') return -1;
  const match = /^cuda(?::(\d+))?$/.exec(device);
  if (!match) throw new Error(`configureTorch: device is ${device}, expected 'cpu', 'cuda' or 'cuda:<number>'`);
  return Number(match[1] ?? 0);
}

/** Applies settings to a backend; what is not given gets its default. */
export function applyOptions(backend: TorchBackend, options: TorchOptions): void {
  const { device = hasGpu() && backend.numbers(1, 'has_cuda')[0] ? 'cuda' : 'cpu' } = options;
  const { precision = 'float32', deterministic = false, threads } = options;
  if (!PRECISIONS.includes(precision)) {
    throw new Error(`configureTorch: precision is ${precision}, expected one of ${PRECISIONS.join(', ')}`);
  }
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1)) {
    throw new Error(`configureTorch: threads is ${threads}, expected a whole number from 1`);
  }
  backend.numbers(0, 'configure', deviceNumber(device), PRECISIONS.indexOf(precision), deterministic);
  if (threads) backend.numbers(1, 'threads', threads);
}

/**
 * Sets device, precision and threads of the torch backend. Tensors stay on the device on which they were made.
 *
 * @throws Error naming the option that does not fit, or saying that the backend is not to be had
 *
 * @example
 * ```ts
 * import { configureTorch } from '@cm/torch';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * await tf.setBackend('torch');
 * configureTorch({ threads: 2, deterministic: true });
 * console.log(tf.getBackend()); // torch
 * ```
 */
export function configureTorch(options: TorchOptions): void {
  applyOptions(tf.findBackend('torch') as TorchBackend, options);
}
