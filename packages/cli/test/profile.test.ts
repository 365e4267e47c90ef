import { onEveryBackend } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { longestKernels, startProfiler } from '../src/profile';

onEveryBackend(() => {
  it('a profile has every kernel with its time, shapes and bytes, and leaves the backend as it was', () => {
    const a = tf.ones([4, 3]);
    const before = tf
      .getKernelsForBackend(tf.getBackend())
      .map(({ kernelName, kernelFunc }) => [kernelName, kernelFunc]);
    const { numTensors } = tf.memory();
    const profiler = startProfiler();
    const begin = performance.now();
    const product = tf.tidy(() => tf.matMul(a, a, true));
    const values = product.dataSync();
    profiler.span('product', begin);
    const trace = profiler.stop();
    product.dispose();
    tf.square(a).dispose();
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(Array.from(values)).toEqual(Array(9).fill(4));

    const kernels = trace.traceEvents.filter(({ cat }) => cat === 'kernel');
    const call = kernels.find(({ name }) => name === 'BatchMatMul')!;
    expect(call.args).toEqual({
      inputs: ['float32 [4, 3]', 'float32 [4, 3]'],
      outputs: ['float32 [3, 3]'],
      bytes: 4 * (12 + 12 + 9),
    });
    const names = new Set(before.map(([name]) => name));
    const whole = trace.traceEvents.find(({ cat }) => cat === 'step')!;
    for (const { name, ph, ts, dur } of kernels) {
      expect([names.has(name), ph]).toEqual([true, 'X']);
      expect(dur).toBeGreaterThanOrEqual(0);
      expect(ts).toBeGreaterThanOrEqual(whole.ts!);
      expect(ts! + dur!).toBeLessThanOrEqual(whole.ts! + whole.dur!);
    }
    expect(kernels.some(({ name }) => name === 'Square')).toBe(false);
    expect(longestKernels(trace)).toMatch(/^\w+ \d+ %/);
    expect(JSON.parse(JSON.stringify(trace))).toEqual(trace);

    const after = new Map(
      tf.getKernelsForBackend(tf.getBackend()).map((config) => [config.kernelName, config.kernelFunc]),
    );
    for (const [name, func] of before) expect(after.get(name as string)).toBe(func);
    expect(after.size).toBe(before.length);
    a.dispose();
  });
});
