import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';

/** Makes a backend of the bench the current one, two threads where it has threads. */
export async function startBackend(name: string, precision: string): Promise<void> {
  if (name === 'torch') {
    const { configureTorch } = await import('@cm/torch');
    await tf.setBackend('torch');
    return configureTorch({ precision: precision as 'float32' });
  }
  if (name === 'wasm') {
    const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
    const { registerWasmKernels } = await import('@cm/wasm-kernels');
    setWasmPaths(`${dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm'))}/`);
    await tf.setBackend('wasm');
    return registerWasmKernels();
  }
  throw new Error(`backend is ${name}, expected torch or wasm`);
}
