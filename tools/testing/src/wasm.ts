import { setWasmBackend } from '@cm/wasm-kernels';

/** Makes tfjs's WebAssembly backend, with the kernels of `@cm/wasm-kernels`, the current one. One thread: test files run side by side. */
export async function useWasm(): Promise<void> {
  await setWasmBackend({ threads: 1 });
}
