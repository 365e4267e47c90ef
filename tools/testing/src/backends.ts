import '@tensorflow/tfjs-backend-cpu';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { registerWasmKernels } from '@cm/wasm-kernels';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe } from 'vitest';

const require = createRequire(import.meta.url);

/** Makes tfjs's WebAssembly backend, with the kernels of `@cm/wasm-kernels`, the current one. */
export async function useWasm(): Promise<void> {
  setWasmPaths(`${dirname(require.resolve('@tensorflow/tfjs-backend-wasm'))}/`);
  await tf.setBackend('wasm');
  await registerWasmKernels();
}

const backends: Record<string, () => Promise<unknown>> = {
  cpu: () => tf.setBackend('cpu'),
  wasm: useWasm,
};

/** Runs a suite once on every backend that is present. */
export function onEveryBackend(suite: (backend: string) => void): void {
  for (const [name, use] of Object.entries(backends)) {
    describe(`on ${name}`, () => {
      beforeAll(async () => {
        await use();
      });
      suite(name);
    });
  }
}
