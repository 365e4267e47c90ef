import '@cm/gradients';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { registerWasmKernels } from '@cm/wasm-kernels';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';

/** Starts the WebAssembly backend with the project's kernels: all that this example computes, it computes there. */
export async function startEngine(): Promise<void> {
  const backend = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm');
  setWasmPaths(`${dirname(backend)}/`);
  await tf.setBackend('wasm');
  await registerWasmKernels();
}
