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
import { loadModule } from './module';

/**
 * Makes the training kernels of this package the ones that TensorFlow.js's WebAssembly backend uses.
 *
 * Kernels are registered under tfjs's own names over the stock ones (which stay the fallback for rare arguments), and
 * work on the backend's heap without copies. Calling it again does nothing, unless the backend was made anew.
 *
 * @throws if the 'wasm' backend is not initialised, runs its threaded binary, or the engine lacks WebAssembly SIMD
 */
export async function registerWasmKernels(): Promise<void> {
  await loadModule();
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
