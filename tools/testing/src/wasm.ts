import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { registerWasmKernels } from '@cm/wasm-kernels';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';

const require = createRequire(import.meta.url);

/** Makes tfjs's WebAssembly backend, with the kernels of `@cm/wasm-kernels`, the current one. */
export async function useWasm(): Promise<void> {
  setWasmPaths(`${dirname(require.resolve('@tensorflow/tfjs-backend-wasm'))}/`);
  await tf.setBackend('wasm');
  await registerWasmKernels();
}
