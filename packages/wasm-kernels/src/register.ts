import { registerKernels } from './kernel';
import { attentions } from './kernels/attention';
import { batchMatMul } from './kernels/batch-mat-mul';
import { convolutions } from './kernels/convolution';
import { depthwise } from './kernels/depthwise';
import { elementwise } from './kernels/elementwise';
import { fusedKernels } from './kernels/fused';
import { groupNorms } from './kernels/group-norm';
import { identity } from './kernels/identity';
import { movement } from './kernels/movement';
import { pooling } from './kernels/pooling';
import { posterior } from './kernels/posterior';
import { reductions } from './kernels/reduction';
import { training } from './kernels/training';
import { loadedModule, loadModule } from './module';
import type { Simd } from './simd';

/** Options of {@link registerWasmKernels}. */
export interface WasmKernelsOptions {
  /**
   * `relaxed` has a fused multiply-add where the engine knows relaxed SIMD; `auto`, the default, takes it there and `plain` elsewhere.
   * Results of the two differ in float32's last bits. Node 20 has it behind a flag of V8, which `auto` and `relaxed` set.
   */
  readonly simd?: 'auto' | Simd;
  /**
   * How many threads share a kernel's work. `auto`, the default, is as many as the machine runs at once where the backend's memory is
   * shared, as `setWasmBackend` makes it, and one elsewhere. Results do not depend on it.
   */
  readonly threads?: 'auto' | number;
}

/** What was chosen: see {@link WasmKernelsOptions}. */
export interface WasmKernelsInUse {
  readonly simd: Simd;
  readonly threads: number;
}

/**
 * Makes the training kernels of this package the ones that TensorFlow.js's WebAssembly backend uses.
 *
 * Kernels are registered under tfjs's own names over the stock ones (which stay the fallback for rare arguments), and
 * work on the backend's heap without copies. Calling it again does nothing, unless the backend was made anew, or `simd` or `threads`
 * asks for other ones, which then replace the first.
 *
 * @throws if the 'wasm' backend is not initialised, runs its threaded binary, or the engine lacks WebAssembly SIMD, or relaxed SIMD
 * where that is asked for; if `threads` is not a positive integer, or more than one where the backend's memory is not shared
 */
export async function registerWasmKernels({ simd = 'auto', threads = 'auto' }: WasmKernelsOptions = {}): Promise<void> {
  await loadModule({ simd, threads });
  registerKernels([
    batchMatMul,
    identity,
    ...convolutions,
    ...depthwise,
    ...elementwise,
    ...movement,
    ...reductions,
    ...pooling,
    ...fusedKernels,
    ...groupNorms,
    ...posterior,
    ...attentions,
    ...training,
  ]);
}

/** The kernels of the current 'wasm' backend: what `auto` chose. Undefined before {@link registerWasmKernels}. */
export function wasmKernelsInUse(): WasmKernelsInUse | undefined {
  const module = loadedModule();
  return module && { simd: module.simd, threads: module.threads };
}
