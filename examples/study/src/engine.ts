import { configureTorch, isInstalled } from '@cm/torch';
import * as tf from '@tensorflow/tfjs-core';
import { startEngine as startWasm } from '../../quickstart/src/engine';

/** Starts libtorch on one thread where it has been set up (`pnpm torch:setup`), else WebAssembly. Returns the backend's name. */
export async function startEngine(): Promise<string> {
  if (isInstalled()) {
    await tf.setBackend('torch');
    configureTorch({ threads: 1 });
  } else {
    await startWasm();
  }
  return tf.getBackend();
}
