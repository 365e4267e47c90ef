import { registerKernels } from './kernel';
import { batchMatMul } from './kernels/batch-mat-mul';
import { convolutions } from './kernels/convolution';
import { elementwise } from './kernels/elementwise';
import { fusedKernels } from './kernels/fused';
import { identity } from './kernels/identity';
import { movement } from './kernels/movement';
import { pooling } from './kernels/pooling';
import { reductions } from './kernels/reduction';
import { training } from './kernels/training';
import { loadedSimd, loadModule } from './module';
import type { Simd } from './simd';

/** Options of {@link registerWasmKernels}. */
export interface WasmKernelsOptions {
  /**
   * `relaxed` has a fused multiply-add where the engine knows relaxed SIMD; `auto`, the default, takes it there and `plain` elsewhere.
   * Results of the two differ in float32's last bits. Node 20 has it behind a flag of V8, which `auto` and `relaxed` set.
   */
  readonly simd?: 'auto' | Simd;
}

/**
 * Makes the training kernels of this package the ones that TensorFlow.js's WebAssembly backend uses.
 *
 * Kernels are registered under tfjs's own names over the stock ones (which stay the fallback for rare arguments), and
 * work on the backend's heap without copies. Calling it again does nothing, unless the backend was made anew or `simd` asks for the
 * other variant, which then replaces the first.
 *
 * @throws if the 'wasm' backend is not initialised, runs its threaded binary, or the engine lacks WebAssembly SIMD, or relaxed SIMD
 * where that is asked for
 */
export async function registerWasmKernels({ simd = 'auto' }: WasmKernelsOptions = {}): Promise<void> {
  await loadModule(simd);
  registerKernels([
    batchMatMul,
    identity,
    ...convolutions,
    ...elementwise,
    ...movement,
    ...reductions,
    ...pooling,
    ...fusedKernels,
    ...training,
  ]);
}

/** Which variant the kernels of the current 'wasm' backend are: what `auto` chose. Undefined before {@link registerWasmKernels}. */
export function wasmKernelsSimd(): Simd | undefined {
  return loadedSimd();
}
