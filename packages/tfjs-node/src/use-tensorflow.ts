import { createRequire } from 'node:module';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { correctKernels } from './corrections';
import { installation } from './installation';
import { restoreUtil } from './node-shim';

/** Options of {@link useTensorFlow}. */
export interface TensorFlowOptions {
  /** Threads of TensorFlow's CPU kernels, by default one for each core. Fixed when TensorFlow starts. */
  readonly threads?: number;
}

const BACKEND = 'tensorflow';
let startedWith: number | undefined;

/**
 * Loads tfjs-node's backend over the TensorFlow that `npx cm-tfjs-node setup` found, and makes it the current one, `'tensorflow'`.
 *
 * tfjs-node's kernels are registered in the caller's own tfjs-core, of which there stays one copy. Where an application has registered a
 * backend `'tensorflow'` before, as importing `@tensorflow/tfjs-node` does, that one is used.
 *
 * @throws Error saying what to do when setup has not been run, the binding does not load, or `threads` is not a positive integer or differs
 *   from those that TensorFlow was started with
 *
 * @example
 * ```ts
 * import { useTensorFlow } from '@cm/tfjs-node';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * await useTensorFlow({ threads: 2 });
 * console.log(tf.getBackend()); // tensorflow
 * ```
 */
export async function useTensorFlow({ threads }: TensorFlowOptions = {}): Promise<void> {
  if (threads !== undefined && !(Number.isInteger(threads) && threads > 0)) {
    throw new Error(`useTensorFlow: threads is ${threads}, expected a positive integer`);
  }
  if (!tf.findBackendFactory(BACKEND)) {
    if (threads !== undefined) {
      process.env.TF_NUM_INTRAOP_THREADS = process.env.TF_NUM_INTEROP_THREADS = String(threads);
    }
    const backend = loadBackend();
    startedWith = threads;
    // Above the WebAssembly backend's.
    tf.registerBackend(BACKEND, () => backend, 3);
  } else if (threads !== undefined && threads !== startedWith) {
    throw new Error(
      `useTensorFlow: threads is ${threads}, but TensorFlow is running with ${startedWith ?? 'its default'}; expected the same`,
    );
  }
  await tf.setBackend(BACKEND);
}

/** What tfjs-node's modules export that is needed here. */
interface TfjsNode {
  readonly NodeJSKernelBackend: new (binding: unknown, packageName: string) => tf.KernelBackend;
}

function loadBackend(): tf.KernelBackend {
  const { binding, tfjsNode } = installation();
  restoreUtil();
  // TensorFlow's notes on what the processor could do are no warnings.
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '1';
  // The modules that setup laid beside tfjs-node, under the names of tfjs and its core, pass this on: see setup/tfjs-node.ts.
  (globalThis as Record<symbol, unknown>)[Symbol.for('@cm/tfjs-node:tfjs-core')] = tf;
  const require = createRequire(join(tfjsNode, 'package.json'));
  try {
    const native = require(binding) as { isUsingGpuDevice(): boolean };
    // Its index would load all of `@tensorflow/tfjs`, and look for the binding in its own folder: these two are the backend.
    require('./dist/register_all_kernels.js');
    correctKernels();
    const { NodeJSKernelBackend } = require('./dist/nodejs_kernel_backend.js') as TfjsNode;
    // By the package's name the backend knows which operations there are on its device.
    return new NodeJSKernelBackend(
      native,
      native.isUsingGpuDevice() ? '@tensorflow/tfjs-node-gpu' : '@tensorflow/tfjs-node',
    );
  } catch (error) {
    throw new Error(
      `@cm/tfjs-node: ${binding} does not load: ${(error as Error).message}. \`npx cm-tfjs-node setup\` builds it anew.`,
    );
  }
}
