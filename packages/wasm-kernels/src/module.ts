import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { type NativeName, wasmBase64 } from './kernels.generated';

/** Bytes of the module's own stack, taken from the backend's allocator. */
const STACK_BYTES = 65_536;

/** The parts of the backend that the kernels rest on; its Emscripten module is not in its public types. */
interface EmscriptenModule {
  readonly asm?: { readonly memory?: WebAssembly.Memory };
  readonly wasmMemory?: WebAssembly.Memory;
  _malloc(bytes: number): number;
  _free(pointer: number): void;
}

/** The native functions: pointers are byte offsets into the heap, everything is a number. */
export type Native = Readonly<Record<NativeName, (...args: number[]) => number>>;

/** The kernels' module on one backend's heap. */
export interface KernelModule {
  readonly backend: BackendWasm;
  readonly native: Native;
  /** Byte offset of a tensor's values on the heap. */
  offset(tensor: tf.TensorInfo): number;
  /** A new, uninitialised tensor. Allocating may grow the memory: make typed-array views afterwards. */
  output(shape: readonly number[], dtype: tf.DataType): tf.TensorInfo;
  /** Calls `use` with a block of `bytes` bytes aligned to 64, freed (or kept for the next call) afterwards. */
  withScratch<T>(bytes: number, use: (pointer: number) => T): T;
}

const modules = new WeakMap<BackendWasm, KernelModule>();

/** The module of a backend that {@link loadModule} has prepared. */
export function moduleOf(backend: BackendWasm): KernelModule {
  const module = modules.get(backend);
  if (!module) throw new Error('wasm-kernels: this wasm backend was made after registerWasmKernels: call it again');
  return module;
}

/** Instantiates the native module on the heap of the current 'wasm' backend, once for each backend. */
export async function loadModule(): Promise<KernelModule> {
  const backend = initialisedBackend();
  const present = modules.get(backend);
  if (present) return present;
  const emscripten = backend.wasm as unknown as EmscriptenModule;
  const memory = emscripten.asm?.memory ?? emscripten.wasmMemory;
  if (!(memory instanceof WebAssembly.Memory)) {
    throw new Error('registerWasmKernels: the wasm backend does not show its memory; expected tfjs-backend-wasm 4.22');
  }
  if (typeof SharedArrayBuffer !== 'undefined' && memory.buffer instanceof SharedArrayBuffer) {
    throw new Error(
      "registerWasmKernels: the wasm backend runs threaded, expected a single thread; call tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false) before tf.setBackend('wasm')",
    );
  }
  const instance = await instantiate(memory);
  // Another call may have finished while this one waited.
  const raced = modules.get(backend);
  if (raced) return raced;
  const stack = (emscripten._malloc(STACK_BYTES) >>> 0) & ~15;
  (instance.exports.__stack_pointer as WebAssembly.Global).value = stack + STACK_BYTES - 16;
  const module: KernelModule = {
    backend,
    native: instance.exports as unknown as Native,
    offset: (tensor) => backend.dataIdMap.get(tensor.dataId).memoryOffset,
    output: (shape, dtype) => backend.makeOutput([...shape], dtype),
    withScratch: scratch(emscripten),
  };
  modules.set(backend, module);
  return module;
}

function initialisedBackend(): BackendWasm {
  // The registry holds a backend once its factory has finished; tf.findBackend would start it.
  const backend = tf.engine().registry.wasm as BackendWasm | undefined;
  if (!backend) {
    throw new Error("registerWasmKernels: the 'wasm' backend is not initialised: await tf.setBackend('wasm') first");
  }
  return backend;
}

async function instantiate(memory: WebAssembly.Memory): Promise<WebAssembly.Instance> {
  const bytes = Uint8Array.from(atob(wasmBase64), (character) => character.charCodeAt(0));
  try {
    return (await WebAssembly.instantiate(bytes, { env: { memory } })).instance;
  } catch (error) {
    throw new Error('registerWasmKernels: this JavaScript engine does not run WebAssembly SIMD', { cause: error });
  }
}

/** Blocks up to this size are kept between calls. */
const KEPT_BYTES = 1 << 22;

function scratch(emscripten: EmscriptenModule): KernelModule['withScratch'] {
  const allocate = (bytes: number): number => {
    const block = emscripten._malloc(bytes + 64) >>> 0;
    if (block === 0) throw new Error(`wasm-kernels: no memory for ${bytes} bytes of scratch`);
    return block;
  };
  const aligned = (block: number) => Math.ceil(block / 64) * 64;
  let kept = 0;
  let keptBytes = 0;
  let busy = false;
  return (bytes, use) => {
    if (busy || bytes > KEPT_BYTES) {
      const block = allocate(bytes);
      try {
        return use(aligned(block));
      } finally {
        emscripten._free(block);
      }
    }
    if (bytes > keptBytes) {
      if (kept) emscripten._free(kept);
      keptBytes = 0;
      kept = allocate(bytes);
      keptBytes = bytes;
    }
    busy = true;
    try {
      return use(aligned(kept));
    } finally {
      busy = false;
    }
  };
}
