export { registerWasmKernels } from './register';
