import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';

type Numbers = ArrayLike<number>;

/** max |actual - expected| / max |expected|: the error relative to the whole array's size. */
export function relativeError(actual: Numbers, expected: Numbers): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let difference = 0;
  let size = 0;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i]! - expected[i]!);
    if (Number.isNaN(error)) return Number.POSITIVE_INFINITY;
    difference = Math.max(difference, error);
    size = Math.max(size, Math.abs(expected[i]!));
  }
  return difference / Math.max(size, Number.MIN_VALUE) || 0;
}

/** Asserts that two arrays agree to a tolerance relative to the largest expected magnitude. */
export function expectClose(actual: Numbers | tf.Tensor, expected: Numbers | tf.Tensor, tolerance: number): void {
  const values = (x: Numbers | tf.Tensor): Numbers => (x instanceof tf.Tensor ? x.dataSync() : x);
  expect(relativeError(values(actual), values(expected))).toBeLessThanOrEqual(tolerance);
}

/** Runs `f` once to warm up, then asserts that a further run leaves as many tensors as there were. */
export async function expectNoLeak(f: () => void | Promise<void>): Promise<void> {
  await f();
  const before = tf.memory().numTensors;
  await f();
  expect(tf.memory().numTensors).toBe(before);
}
