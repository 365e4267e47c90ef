export { setWasmBackend, type WasmBackendOptions } from './backend';
export { registerWasmKernels, type WasmKernelsInUse, type WasmKernelsOptions, wasmKernelsInUse } from './register';
export { hasRelaxedSimd, type Simd } from './simd';
