import '@cm/gradients';
import { setWasmBackend } from '@cm/wasm-kernels';

/**
 * Starts the WebAssembly backend with the project's kernels: all that this example computes, it computes there. One thread, since
 * methods are trained side by side.
 */
export async function startEngine(): Promise<void> {
  await setWasmBackend({ threads: 1 });
}
