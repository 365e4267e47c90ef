import * as tf from '@tensorflow/tfjs-core';

/** Makes a backend of the bench the current one, two threads where it has threads. */
export async function startBackend(name: string, precision: string): Promise<void> {
  if (name === 'torch') {
    const { configureTorch } = await import('@cm/torch');
    await tf.setBackend('torch');
    return configureTorch({ precision: precision as 'float32' });
  }
  if (name === 'wasm') {
    const { setWasmBackend } = await import('@cm/wasm-kernels');
    await setWasmBackend({ threads: Number(process.env.WASM_THREADS ?? 2) });
    return;
  }
  if (name === 'tensorflow') {
    const { useTensorFlow } = await import('@cm/tfjs-node');
    return useTensorFlow({ threads: 2 });
  }
  throw new Error(`backend is ${name}, expected torch, wasm or tensorflow`);
}
