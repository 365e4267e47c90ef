import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { registerWasmKernels, type WasmKernelsInUse, type WasmKernelsOptions, wasmKernelsInUse } from './register';
import { shareMemory } from './shared-memory';
import { availableThreads, canShareMemory } from './workers';

/** Options of {@link setWasmBackend}. */
export interface WasmBackendOptions extends WasmKernelsOptions {
  /**
   * Path or URL of `tfjs-backend-wasm-simd.wasm`, which comes with `@tensorflow/tfjs-backend-wasm`. In Node the default is where that
   * package is installed.
   */
  readonly binary?: string;
}

/**
 * Makes TensorFlow.js's WebAssembly backend the current one, with the kernels of this package, and with threads where memory can be
 * shared: in Node, and in browsers where the page is isolated from other origins (`crossOriginIsolated`). The backend's binary of one
 * thread is told that its memory is shared, and nothing else of it changes: its own kernels run on the caller's thread.
 *
 * @returns what was chosen
 * @throws if `threads` is not a positive integer, or is more than one where memory cannot be shared or where the backend has been
 * initialised before with memory of its own
 *
 * @example
 * ```ts
 * import { setWasmBackend } from '@cm/wasm-kernels';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * const { threads } = await setWasmBackend({ threads: 1 });
 * console.log(tf.getBackend(), threads); // wasm 1
 * ```
 */
export async function setWasmBackend({
  binary = installedBinary(),
  threads = 'auto',
  simd = 'auto',
}: WasmBackendOptions = {}): Promise<WasmKernelsInUse> {
  if (!(tf.engine().registry.wasm as unknown)) {
    tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
    if (canShareMemory() && (threads === 'auto' ? availableThreads() : threads) > 1) {
      const bytes = await read(binary);
      shareMemory(bytes);
      setBinary(`data:application/wasm;base64,${base64(bytes)}`, true);
    } else {
      setBinary(binary, false);
    }
  }
  await tf.setBackend('wasm');
  await registerWasmKernels({ threads, simd });
  return wasmKernelsInUse()!;
}

function setBinary(url: string, byFetch: boolean): void {
  const names = ['tfjs-backend-wasm.wasm', 'tfjs-backend-wasm-simd.wasm', 'tfjs-backend-wasm-threaded-simd.wasm'];
  setWasmPaths(Object.fromEntries(names.map((name) => [name, url])), byFetch);
}

interface NodeProcess {
  getBuiltinModule?(id: 'node:module'): { createRequire(from: string): { resolve(id: string): string } };
  getBuiltinModule?(id: 'node:fs/promises'): { readFile(path: string): Promise<Uint8Array> };
}

const node = (): NodeProcess['getBuiltinModule'] => (globalThis as { process?: NodeProcess }).process?.getBuiltinModule;

function installedBinary(): string {
  const getBuiltinModule = node();
  if (!getBuiltinModule) {
    throw new Error('setWasmBackend: binary is missing, expected the URL of tfjs-backend-wasm-simd.wasm');
  }
  const backend = getBuiltinModule('node:module')
    .createRequire(import.meta.url)
    .resolve('@tensorflow/tfjs-backend-wasm');
  return backend.replace(/[^\\/]*$/, 'tfjs-backend-wasm-simd.wasm');
}

async function read(location: string): Promise<Uint8Array> {
  const getBuiltinModule = node();
  if (getBuiltinModule && !/^https?:/.test(location)) return getBuiltinModule('node:fs/promises').readFile(location);
  const response = await fetch(location);
  if (!response.ok) throw new Error(`setWasmBackend: ${location} was not loaded: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

function base64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}
