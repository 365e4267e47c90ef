import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { expectClose, onEveryBackend } from '../src';

onEveryBackend((name) => {
  it('is the current backend and computes', () => {
    expect(tf.getBackend()).toBe(name);
    expectClose(tf.matMul(tf.ones([3, 4]), tf.ones([4, 5])), new Float32Array(15).fill(4), 0);
  });
});
