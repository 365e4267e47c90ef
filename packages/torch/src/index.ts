import * as tf from '@tensorflow/tfjs-core';
import { loadAddon } from './addon';
import { TorchBackend } from './backend';
import { applyOptions } from './configure';
import { registerKernels } from './kernels';

export { configureTorch, type Precision, type TorchOptions } from './configure';
export { isInstalled } from './installation';

registerKernels();
tf.registerBackend(
  'torch',
  () => {
    const backend = new TorchBackend(loadAddon());
    applyOptions(backend, {});
    return backend;
  },
  // Above the WebAssembly backend's.
  3,
);
