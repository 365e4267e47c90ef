import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { type KernelModule, moduleOf } from './module';

/** What a kernel is called with. */
export interface KernelCall<Input extends string, Attributes> {
  readonly inputs: Readonly<Record<Input, tf.TensorInfo>>;
  readonly attrs: Attributes;
  readonly module: KernelModule;
  /** Runs the kernel that was registered before this one; throws if there was none. */
  stock(): tf.TensorInfo | tf.TensorInfo[];
}

/** A kernel for the WebAssembly backend: its name in tfjs's registry, and the function. */
export interface WasmKernel {
  readonly name: string;
  readonly run: (call: KernelCall<string, tf.NamedAttrMap>) => tf.TensorInfo | tf.TensorInfo[];
}

/** Names a kernel's inputs and attributes: `defineKernel<'x', { factor: number }>('Scale', ({ inputs, attrs }) => …)`. */
export function defineKernel<Input extends string, Attributes = object>(
  name: string,
  run: (call: KernelCall<Input, Attributes>) => tf.TensorInfo | tf.TensorInfo[],
): WasmKernel {
  return { name, run: run as unknown as WasmKernel['run'] };
}

const BACKEND = 'wasm';
const registered = new Set<string>();

/** Registers kernels over what the backend has, each once. */
export function registerKernels(kernels: readonly WasmKernel[]): void {
  for (const kernel of kernels) {
    if (registered.has(kernel.name)) continue;
    const stock = tf.getKernel(kernel.name, BACKEND) as tf.KernelConfig | undefined;
    if (stock) tf.unregisterKernel(kernel.name, BACKEND);
    tf.registerKernel({
      kernelName: kernel.name,
      backendName: BACKEND,
      kernelFunc: ({ inputs, attrs, backend }) =>
        kernel.run({
          inputs: inputs as Record<string, tf.TensorInfo>,
          attrs: attrs ?? {},
          module: moduleOf(backend as BackendWasm),
          stock: () => {
            if (!stock) throw new Error(`${kernel.name}: not supported on the wasm backend with these arguments`);
            return stock.kernelFunc({ inputs, backend, ...(attrs && { attrs }) });
          },
        }),
      // A backend that is made later sets up the stock kernels, which may be called as fallbacks.
      ...(stock?.setupFunc && { setupFunc: stock.setupFunc }),
      ...(stock?.disposeFunc && { disposeFunc: stock.disposeFunc }),
    });
    registered.add(kernel.name);
  }
}
