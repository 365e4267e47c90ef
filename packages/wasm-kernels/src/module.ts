import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { type NativeName, wasm } from './kernels.generated';
import { type Pool, startPool } from './pool';
import { shareMemory } from './shared-memory';
import { hasRelaxedSimd, type Simd } from './simd';
import { availableThreads } from './workers';

/** Bytes of a thread's stack, taken from the backend's allocator. */
const STACK_BYTES = 65_536;

/** The parts of the backend that the kernels rest on; its Emscripten module is not in its public types. */
interface EmscriptenModule {
  readonly asm?: { readonly memory?: WebAssembly.Memory };
  readonly wasmMemory?: WebAssembly.Memory;
  _malloc: (bytes: number) => number;
  _free(pointer: number): void;
}

/** The native functions: pointers are byte offsets into the heap, everything is a number. */
export type Native = Readonly<Record<NativeName, (...args: number[]) => number>>;

/** The kernels' module on one backend's heap. */
export interface KernelModule {
  readonly backend: BackendWasm;
  readonly simd: Simd;
  readonly threads: number;
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

/** Which kernels are wanted: see `registerWasmKernels`. */
export interface Wanted {
  readonly simd: 'auto' | Simd;
  readonly threads: 'auto' | number;
}

/** The pool of the module that was loaded last: another takes its place. */
let pool: Pool | undefined;

/**
 * Instantiates the native module on the heap of the current 'wasm' backend: once for each backend, and anew when another `simd` or
 * another number of threads is asked for.
 */
export async function loadModule(wanted: Wanted): Promise<KernelModule> {
  const { threads } = wanted;
  if (threads !== 'auto' && !(Number.isInteger(threads) && threads > 0)) {
    throw new Error(`registerWasmKernels: threads is ${threads}, expected 'auto' or a positive integer`);
  }
  const backend = initialisedBackend();
  const suits = (module: KernelModule) =>
    (wanted.simd === 'auto' || module.simd === wanted.simd) && (threads === 'auto' || module.threads === threads);
  const present = modules.get(backend);
  if (present && suits(present)) return present;
  const emscripten = backend.wasm as unknown as EmscriptenModule;
  const memory = memoryOf(emscripten);
  const shared = isShared(memory);
  if (threads !== 'auto' && threads > 1 && !shared) {
    throw new Error(
      `registerWasmKernels: threads is ${threads}, but the wasm backend's memory is not shared; start it with setWasmBackend`,
    );
  }
  const simd = wanted.simd === 'auto' ? (present?.simd ?? (hasRelaxedSimd() ? 'relaxed' : 'plain')) : wanted.simd;
  if (simd === 'relaxed' && !hasRelaxedSimd()) {
    throw new Error(
      "registerWasmKernels: simd is 'relaxed', expected 'plain' or 'auto': this engine has no relaxed SIMD",
    );
  }
  const { module: compiled, instance } = await instantiate(simd, memory);
  // Another call may have finished while this one waited.
  const raced = modules.get(backend);
  if (raced && raced !== present && suits(raced)) return raced;
  const native = instance.exports as unknown as Native;
  if (!raced && !present) refuseNull(emscripten, memory);
  const allocate = (bytes: number) => Math.ceil((emscripten._malloc(bytes + 64) >>> 0) / 64) * 64;
  const newStackEnd = () => allocate(STACK_BYTES) + STACK_BYTES;
  (instance.exports.__stack_pointer as WebAssembly.Global).value = newStackEnd();
  pool?.terminate();
  const count = threads === 'auto' ? (shared ? availableThreads() : 1) : threads;
  pool = count > 1 ? startPool({ module: compiled, memory, native, allocate, newStackEnd }, count) : undefined;
  const module: KernelModule = {
    backend,
    simd,
    threads: count,
    native,
    offset: (tensor) => backend.dataIdMap.get(tensor.dataId).memoryOffset,
    output: (shape, dtype) => backend.makeOutput([...shape], dtype),
    withScratch: raced?.withScratch ?? scratch(emscripten),
  };
  modules.set(backend, module);
  return module;
}

/** The module of the current 'wasm' backend; undefined before it is loaded. */
export function loadedModule(): KernelModule | undefined {
  const backend = tf.engine().registry.wasm as BackendWasm | undefined;
  return backend && modules.get(backend);
}

const isShared = ({ buffer }: WebAssembly.Memory): boolean =>
  typeof SharedArrayBuffer !== 'undefined' && buffer instanceof SharedArrayBuffer;

function memoryOf({ asm, wasmMemory }: EmscriptenModule): WebAssembly.Memory {
  const memory = asm?.memory ?? wasmMemory;
  if (!(memory instanceof WebAssembly.Memory)) {
    throw new Error('registerWasmKernels: the wasm backend does not show its memory; expected tfjs-backend-wasm 4.22');
  }
  if (!asm?.memory && isShared(memory)) {
    throw new Error(
      "registerWasmKernels: the wasm backend runs tfjs's threaded binary, expected that of one thread; start it with setWasmBackend, or call tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false) before tf.setBackend('wasm')",
    );
  }
  return memory;
}

function initialisedBackend(): BackendWasm {
  // The registry holds a backend once its factory has finished; tf.findBackend would start it.
  const backend = tf.engine().registry.wasm as BackendWasm | undefined;
  if (!backend) {
    throw new Error("registerWasmKernels: the 'wasm' backend is not initialised: await tf.setBackend('wasm') first");
  }
  return backend;
}

async function instantiate(simd: Simd, memory: WebAssembly.Memory): Promise<WebAssembly.WebAssemblyInstantiatedSource> {
  const packed = Uint8Array.from(atob(wasm[simd]), (character) => character.charCodeAt(0));
  const inflated = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
  const bytes = new Uint8Array(await new Response(inflated).arrayBuffer());
  if (isShared(memory)) shareMemory(bytes);
  try {
    return await WebAssembly.instantiate(bytes, { env: { memory } });
  } catch (error) {
    throw new Error('registerWasmKernels: this JavaScript engine does not run WebAssembly SIMD', { cause: error });
  }
}

/**
 * Makes the allocator throw where it has no memory. The backend takes what it returns for a tensor's place, and 0, which is how it says so,
 * for a place like any other: the heap's first bytes, which are the backend's own data.
 */
function refuseNull(emscripten: EmscriptenModule, memory: WebAssembly.Memory): void {
  // The first call puts another function in its own place.
  emscripten._free(emscripten._malloc(1));
  const malloc = emscripten._malloc;
  emscripten._malloc = (bytes) => {
    const pointer = malloc(bytes);
    if (pointer !== 0) return pointer;
    const held = Math.round(memory.buffer.byteLength / 2 ** 20);
    throw new Error(`wasm: no memory for ${bytes} bytes; the heap has grown to ${held} MiB, and can to 4096`);
  };
}

/** Blocks up to this size are kept between calls. */
const KEPT_BYTES = 1 << 22;

function scratch(emscripten: EmscriptenModule): KernelModule['withScratch'] {
  const allocate = (bytes: number): number => emscripten._malloc(bytes + 64) >>> 0;
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
