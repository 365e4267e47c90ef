import { onEveryBackend, runReadmeExamples } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';

onEveryBackend(() => {
  it("runs the README's example", async () => {
    const printed = await runReadmeExamples(new URL('../README.md', import.meta.url));
    expect(printed[0]![0]).toBe(132.25);
    expect(Array.from(printed[0]![1] as Float32Array)).toEqual([69, 92]);
    expect(tf.memory().numTensors).toBeGreaterThan(0);
  });
});
