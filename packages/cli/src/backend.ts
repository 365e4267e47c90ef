import type { Precision } from '@cm/torch';
import * as tf from '@tensorflow/tfjs-core';
import { takeOwnGpu } from './processes';

/** What computes: libtorch, TensorFlow, or WebAssembly, which is everywhere. */
export const backendNames = ['torch', 'tensorflow', 'wasm'] as const;
/** A backend that `--backend` names. */
export type BackendName = (typeof backendNames)[number];

/** How the torch backend computes; the others have float32 alone. */
export interface Exactness {
  /** Default 'float32'. */
  readonly precision?: Precision;
  /** Whether the same call gives the same bits every time, where libtorch can. Default false. */
  readonly deterministic?: boolean;
}

/**
 * What runs computations with the torch backend set one way and sets it another way after each, so that a network's precision is not that of all else.
 * Other backends have float32 alone.
 */
export async function scopeOf(
  backend: BackendName,
  inside: Exactness,
  outside: Exactness,
): Promise<<T>(compute: () => T) => T> {
  if (backend !== 'torch') return (compute) => compute();
  const { configureTorch } = await import('@cm/torch');
  return (compute) => {
    configureTorch(inside);
    try {
      return compute();
    } finally {
      configureTorch(outside);
    }
  };
}

/** Whether the current backend, of that name, computes on a GPU. */
export function isOnGpu(name: BackendName): boolean {
  const backend = tf.backend() as unknown as {
    numbers(count: number, kernel: string): number[];
    readonly isUsingGpuDevice: boolean;
  };
  if (name === 'torch') return backend.numbers(1, 'has_cuda')[0] === 1;
  return name === 'tensorflow' && backend.isUsingGpuDevice;
}

/**
 * Makes a backend the current one: `torch` where libtorch has been set up (`npx cm-torch setup`), else `wasm`, unless one is named.
 *
 * @param named One of {@link backendNames}; `auto` is the same as none.
 * @returns its name
 * @throws Error when the one that is named cannot be had, or has no such precision
 */
export async function useBackend(named?: string, threads?: number, exactness: Exactness = {}): Promise<BackendName> {
  // Loaded when needed: commands that compute nothing start at once.
  const { configureTorch, isInstalled } = await import('@cm/torch');
  const backend = named === undefined || named === 'auto' ? (isInstalled() ? 'torch' : 'wasm') : named;
  if (backend === 'torch') {
    takeOwnGpu();
    await tf.setBackend('torch');
    configureTorch({ ...exactness, ...(threads !== undefined && { threads }) });
    return backend;
  }
  if (backend !== 'wasm' && backend !== 'tensorflow') {
    throw new Error(`--backend is ${backend}, expected one of ${backendNames.join(', ')}`);
  }
  const { precision = 'float32' } = exactness;
  if (precision !== 'float32') throw new Error(`--precision is ${precision}, expected float32 on ${backend}`);
  if (backend === 'tensorflow') {
    const { useTensorFlow } = await import('@cm/tfjs-node');
    await useTensorFlow(threads === undefined ? {} : { threads });
    return backend;
  }
  const { setWasmBackend } = await import('@cm/wasm-kernels');
  await setWasmBackend(threads === undefined ? {} : { threads });
  return backend;
}
