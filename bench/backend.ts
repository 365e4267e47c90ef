import { configureTorch, type Precision } from '@cm/torch';
import { setWasmBackend } from '@cm/wasm-kernels';
import * as tf from '@tensorflow/tfjs-core';

/** Makes a backend the current one. Returns what waits until it has done what it was given. */
export async function useBackend(name: string, precision = 'float32'): Promise<() => Promise<void>> {
  if (name === 'wasm') {
    await setWasmBackend();
    return async () => {};
  }
  await tf.setBackend('torch');
  configureTorch({ precision: precision as Precision });
  return async () => void (await tf.time(() => {}));
}
