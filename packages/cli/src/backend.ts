import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';

/** What computes: libtorch, or WebAssembly, which is everywhere. */
export type BackendName = 'torch' | 'wasm';

/**
 * Makes a backend the current one: `torch` where libtorch has been set up (`npx cm-torch setup`), else `wasm`, unless one is named.
 *
 * @returns its name
 * @throws Error when the one that is named cannot be had
 */
export async function useBackend(named?: string, threads?: number): Promise<BackendName> {
  if (named !== undefined && named !== 'torch' && named !== 'wasm') {
    throw new Error(`--backend is ${named}, expected torch or wasm`);
  }
  // Loaded when needed: commands that compute nothing start at once.
  const { configureTorch, isInstalled } = await import('@cm/torch');
  const backend = named ?? (isInstalled() ? 'torch' : 'wasm');
  if (backend === 'torch') {
    await tf.setBackend('torch');
    if (threads) configureTorch({ threads });
    return backend;
  }
  const { setThreadsCount, setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
  const { registerWasmKernels } = await import('@cm/wasm-kernels');
  setWasmPaths(`${dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm'))}/`);
  if (threads) setThreadsCount(threads);
  await tf.setBackend('wasm');
  await registerWasmKernels();
  return backend;
}
