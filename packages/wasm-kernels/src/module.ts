import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { type NativeName, wasm } from './kernels.generated';
import { hasRelaxedSimd, type Simd } from './simd';

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
  readonly simd: Simd;
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

/**
 * Instantiates the native module on the heap of the current 'wasm' backend: once for each backend, and anew when the other `simd` is
 * asked for.
 */
export async function loadModule(wanted: 'auto' | Simd): Promise<KernelModule> {
  const backend = initialisedBackend();
  const suits = (module: KernelModule | undefined) => module && (wanted === 'auto' || module.simd === wanted);
  if (suits(modules.get(backend))) return modules.get(backend)!;
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
  const simd = wanted === 'auto' ? (hasRelaxedSimd() ? 'relaxed' : 'plain') : wanted;
  if (simd === 'relaxed' && !hasRelaxedSimd()) {
    throw new Error(
      "registerWasmKernels: simd is 'relaxed', expected 'plain' or 'auto': this engine has no relaxed SIMD",
    );
  }
  const instance = await instantiate(simd, memory);
  // Another call may have finished while this one waited.
  const raced = modules.get(backend);
  if (raced && suits(raced)) return raced;
  const native = instance.exports as unknown as Native;
  // One stack and one scratch block for both variants: they never run at once.
  const stackEnd = raced ? stackEnds.get(backend)! : newStackEnd(emscripten);
  stackEnds.set(backend, stackEnd);
  (instance.exports.__stack_pointer as WebAssembly.Global).value = stackEnd;
  const module: KernelModule = {
    backend,
    simd,
    native,
    offset: (tensor) => backend.dataIdMap.get(tensor.dataId).memoryOffset,
    output: (shape, dtype) => backend.makeOutput([...shape], dtype),
    withScratch: raced?.withScratch ?? scratch(emscripten),
  };
  modules.set(backend, module);
  return module;
}

/** The variant that the current 'wasm' backend's kernels run; undefined before they are loaded. */
export function loadedSimd(): Simd | undefined {
  const backend = tf.engine().registry.wasm as BackendWasm | undefined;
  return backend && modules.get(backend)?.simd;
}

const stackEnds = new WeakMap<BackendWasm, number>();

function newStackEnd(emscripten: EmscriptenModule): number {
  const stack = (emscripten._malloc(STACK_BYTES) >>> 0) & ~15;
  return stack + STACK_BYTES - 16;
}

function initialisedBackend(): BackendWasm {
  // The registry holds a backend once its factory has finished; tf.findBackend would start it.
  const backend = tf.engine().registry.wasm as BackendWasm | undefined;
  if (!backend) {
    throw new Error("registerWasmKernels: the 'wasm' backend is not initialised: await tf.setBackend('wasm') first");
  }
  return backend;
}

async function instantiate(simd: Simd, memory: WebAssembly.Memory): Promise<WebAssembly.Instance> {
  const packed = Uint8Array.from(atob(wasm[simd]), (character) => character.charCodeAt(0));
  const bytes = await new Response(
    new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate-raw')),
  ).arrayBuffer();
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
