import { availableParallelism } from 'node:os';
import { isInstalled as hasTensorFlow, useTensorFlow } from '@cm/tfjs-node';
import { configureTorch, isInstalled as hasTorch, type Precision } from '@cm/torch';
import { setWasmBackend, wasmKernelsInUse } from '@cm/wasm-kernels';
import * as tf from '@tensorflow/tfjs-core';

/** A backend that was made the current one. */
export interface Backend {
  /** What it is, in words: version, threads, precision. */
  readonly about: string;
  /** Waits until it has done what it was given. */
  wait(): Promise<void>;
}

/** The parts of the torch backend that tell what it is. */
interface Torch {
  readonly addon: { version(): string };
  numbers(count: number, kernel: string, ...args: readonly number[]): number[];
}

/** Makes a backend the current one. @throws Error when it is not set up */
export async function useBackend(name: string, precision = 'float32'): Promise<Backend> {
  const described = (what: string, threads: number) => `${what}, ${threads} threads, Node ${process.versions.node}`;
  if (name === 'wasm') {
    await setWasmBackend();
    const { simd, threads } = wasmKernelsInUse()!;
    return { about: described(`WebAssembly of ${simd} SIMD`, threads), wait: async () => {} };
  }
  if (name === 'tensorflow') {
    if (!hasTensorFlow()) throw new Error('not set up: pnpm tensorflow:setup');
    const threads = availableParallelism();
    await useTensorFlow({ threads });
    const { TF_Version: version } = (tf.backend() as unknown as { binding: { TF_Version: string } }).binding;
    return { about: described(`TensorFlow ${version}`, threads), wait: async () => {} };
  }
  if (!hasTorch()) throw new Error('not set up: pnpm torch:setup');
  await tf.setBackend('torch');
  configureTorch({ precision: precision as Precision });
  const backend = tf.backend() as unknown as Torch;
  return {
    about: described(`libtorch ${backend.addon.version()}`, backend.numbers(1, 'threads', 0)[0]!),
    wait: async () => void (await tf.time(() => {})),
  };
}
