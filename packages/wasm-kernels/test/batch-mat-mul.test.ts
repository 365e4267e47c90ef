import { expectClose, u, useWasm } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, it } from 'vitest';

beforeAll(useWasm);
it('x', () => {
  const a = tf.tensor(u('a', 12), [3, 4]);
  const b = tf.tensor(u('b', 20), [4, 5]);
  expect(tf.getBackend()).toBe('wasm');
  expectClose(
    tf.matMul(a, b),
    tf.matMul(b, a, true, true).dataSync().length ? tf.transpose(tf.matMul(b, a, true, true)) : a,
    1e-6,
  );
});
