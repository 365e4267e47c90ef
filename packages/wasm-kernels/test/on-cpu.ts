import { expectClose } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';

/** Runs `f` on the WebAssembly backend and on tfjs's plain CPU backend and asserts that the results agree. */
export async function expectSameAsOnCpu(f: () => tf.Tensor, tolerance = 1e-5): Promise<void> {
  const run = async (backend: string) => {
    await tf.setBackend(backend);
    const y = f();
    const result = { shape: y.shape, values: y.dataSync().slice() };
    y.dispose();
    return result;
  };
  const expected = await run('cpu');
  const actual = await run('wasm');
  if (`${actual.shape}` !== `${expected.shape}`)
    throw new Error(`shape [${actual.shape}], expected [${expected.shape}]`);
  expectClose(actual.values, expected.values, tolerance);
}
