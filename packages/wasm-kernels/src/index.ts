export { registerWasmKernels, type WasmKernelsOptions, wasmKernelsSimd } from './register';
export { hasRelaxedSimd, type Simd } from './simd';
