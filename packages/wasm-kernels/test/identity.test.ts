import { expectClose, useWasm } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, it } from 'vitest';

beforeAll(useWasm);

it('clones without copying, and the data lives as long as one of the two', () => {
  const x = tf.tensor2d([1, 2, 3, 4], [2, 2]);
  const buffers = tf.memory().numDataBuffers;
  const y = tf.clone(x);
  expect(tf.memory().numDataBuffers).toBe(buffers);
  x.dispose();
  expectClose(y, [1, 2, 3, 4], 0);
  y.dispose();
  expect(tf.memory().numDataBuffers).toBe(buffers - 1);
});

it('clones strings', () => {
  expect(Array.from(tf.clone(tf.tensor1d(['a', 'b'])).dataSync() as unknown as string[])).toEqual(['a', 'b']);
});
