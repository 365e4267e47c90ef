import * as tf from '@tensorflow/tfjs-core';

/** What can compute, best first. */
export const engines = {
  webgpu: { title: 'WebGPU', present: presentWebGpu, start: startWebGpu },
  webgl: { title: 'WebGL', present: presentWebGl, start: startWebGl },
  wasm: { title: 'WebAssembly', present: async () => 'hardware', start: startWasm },
} as const satisfies Record<string, Engine>;

/** Name of an engine, which is its name in TensorFlow.js. */
export type EngineName = keyof typeof engines;

interface Engine {
  readonly title: string;
  /** Whether the browser has it; `software` is a GPU's interface without a GPU. */
  present(): Promise<'hardware' | 'software' | 'absent'>;
  start(): Promise<void>;
}

/** The engines that this browser has, and the one to begin with: the first that is hardware's own. */
export async function findEngines(): Promise<{ names: EngineName[]; best: EngineName }> {
  const names: EngineName[] = [];
  let best: EngineName | undefined;
  for (const name of Object.keys(engines) as EngineName[]) {
    const presence = await engines[name].present();
    if (presence !== 'absent') names.push(name);
    if (presence === 'hardware') best ??= name;
  }
  return { names, best: best ?? 'wasm' };
}

/** Makes an engine TensorFlow.js's current backend. Each is fetched when it is first asked for. */
export async function startEngine(name: EngineName): Promise<void> {
  await engines[name].start();
  if (tf.getBackend() !== name) throw new Error(`${engines[name].title} does not start in this browser`);
}

/** The part of WebGPU's interface that is asked for here. */
interface Gpu {
  requestAdapter(): Promise<{
    readonly info?: { readonly isFallbackAdapter?: boolean; readonly architecture?: string };
  } | null>;
}

async function presentWebGpu() {
  const { gpu } = navigator as Navigator & { gpu?: Gpu };
  const adapter = await gpu?.requestAdapter().catch(() => null);
  if (!adapter) return 'absent';
  return adapter.info?.isFallbackAdapter || adapter.info?.architecture === 'swiftshader' ? 'software' : 'hardware';
}

async function presentWebGl() {
  const context = (options?: WebGLContextAttributes) =>
    document.createElement('canvas').getContext('webgl2', options) !== null;
  if (!context()) return 'absent';
  return context({ failIfMajorPerformanceCaveat: true }) ? 'hardware' : 'software';
}

async function startWebGpu() {
  await import('@tensorflow/tfjs-backend-webgpu');
  await tf.setBackend('webgpu');
}

async function startWebGl() {
  await import('@tensorflow/tfjs-backend-webgl');
  // One program for all shapes of an operation: far fewer to compile.
  tf.env().set('WEBGL_USE_SHAPES_UNIFORMS', true);
  await tf.setBackend('webgl');
}

/** TensorFlow.js's WebAssembly backend under the kernels of @cm/wasm-kernels. */
async function startWasm() {
  const [{ setWasmBackend }, { default: binary }] = await Promise.all([
    import('@cm/wasm-kernels'),
    import('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?url'),
  ]);
  await setWasmBackend({ binary });
}
