import { expectNoLeak, useWasm } from '@cm/testing';
import { hasRelaxedSimd, registerWasmKernels, wasmKernelsInUse } from '@cm/wasm-kernels';
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';

it('asks for an initialised backend', async () => {
  await expect(registerWasmKernels()).rejects.toThrow("the 'wasm' backend is not initialised");
});

it('registers once', async () => {
  await useWasm();
  const kernel = tf.getKernel(tf.BatchMatMul, 'wasm');
  await Promise.all([registerWasmKernels(), registerWasmKernels()]);
  expect(tf.getKernel(tf.BatchMatMul, 'wasm')).toBe(kernel);
});

it('takes relaxed SIMD where the engine has it, and plain where that is asked for; they agree to rounding', async () => {
  await useWasm();
  expect(wasmKernelsInUse()?.simd).toBe(hasRelaxedSimd() ? 'relaxed' : 'plain');
  const a = tf.randomNormal([40, 70], 0, 1, 'float32', 1);
  const b = tf.randomNormal([70, 33], 0, 1, 'float32', 2);
  const fused = tf.matMul(a, b);
  await registerWasmKernels({ simd: 'plain' });
  expect(wasmKernelsInUse()?.simd).toBe('plain');
  const difference = tf.max(tf.abs(tf.sub(fused, tf.matMul(a, b)))).dataSync()[0]!;
  expect(difference).toBeLessThan(1e-5);
  if (hasRelaxedSimd()) {
    await registerWasmKernels({ simd: 'relaxed' });
    expect(tf.matMul(a, b).dataSync()).toEqual(fused.dataSync());
  }
});

it('works on while the heap grows, and leaves no tensors', async () => {
  await useWasm();
  const a = tf.fill([300, 200], 0.5);
  const b = tf.fill([200, 100], 2);
  const before = tf.memory().numTensors;
  const ballast: tf.Tensor[] = [];
  for (let i = 0; i < 12; i++) {
    ballast.push(tf.ones([1 << 20]));
    const c = tf.matMul(a, b);
    expect(c.dataSync().every((value) => value === 200)).toBe(true);
    c.dispose();
  }
  tf.dispose(ballast);
  expect(tf.memory().numTensors).toBe(before);
  await expectNoLeak(() => tf.tidy(() => void tf.mean(tf.matMul(a, b), [0, 1])));
});

it('serves a backend that is made anew, once asked', async () => {
  await useWasm();
  const factory = tf.findBackendFactory('wasm');
  tf.removeBackend('wasm');
  tf.registerBackend('wasm', factory);
  await tf.setBackend('wasm');
  expect(() => tf.matMul(tf.ones([2, 2]), tf.ones([2, 2]))).toThrow('call it again');
  await registerWasmKernels();
  expect([...tf.matMul(tf.ones([2, 2]), tf.ones([2, 2])).dataSync()]).toEqual([2, 2, 2, 2]);
});
