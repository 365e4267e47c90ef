import { expectClose, unit, useWasm } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';

beforeAll(useWasm);

const tensor = (name: string, shape: number[]) => tf.tensor(unit(name, shape), shape);
const run = (name: string, inputs: tf.NamedTensorMap, attributes: Record<string, number | string | boolean>) =>
  tf.engine().runKernel(name, inputs, attributes) as unknown as tf.Tensor[];

describe.each([1, 3, 4, 7, 66])('with %i values', (n) => {
  it.each([true, false])('one step of Adam, adaptive %s', (adaptive) => {
    const [p, g, m] = ['p', 'g', 'm'].map((name) => unit(name, [n]));
    const v = unit('v', [n]).map((value) => value ** 2);
    const step = { beta1: 0.9, beta2: 0.99, factor: 0.01, epsilon: 1e-3, keep: 0.95, adaptive };
    const inputs = Object.fromEntries(Object.entries({ p, g, m, v }).map(([name, x]) => [name, tf.tensor1d(x!)]));
    const [p1, m1, v1] = run('AdamUpdate', inputs, step);
    // Independent of the kernel: float64.
    const mean = Array.from(m!, (value, i) => 0.9 * value + 0.1 * g![i]!);
    const square = Array.from(v, (value, i) => 0.99 * value + 0.01 * g![i]! ** 2);
    expectClose(m1!, mean, 1e-6);
    expectClose(v1!, square, 1e-6);
    expectClose(
      p1!,
      Array.from(p!, (x, i) => 0.95 * x - 0.01 * (adaptive ? mean[i]! / (Math.sqrt(square[i]!) + 1e-3) : mean[i]!)),
      1e-6,
    );
  });

  it('a linear combination', () => {
    const [a, b] = [tensor('a', [n]), tensor('b', [n])];
    const y = run('LinearCombination', { a, b }, { alpha: 0.3, beta: -2 }) as unknown as tf.Tensor;
    expectClose(y, tf.add(tf.mul(a, 0.3), tf.mul(b, -2)), 1e-6);
  });
});

describe.each([1, 2, 3, 4, 5, 7, 8, 9, 33])('weights of %i outputs', (count) => {
  it.each(['first', 'last'] as const)('have unit magnitude, and the gradient of that, outputs %s', (outputs) => {
    const shape = outputs === 'first' ? [count, 6] : [3, 3, 2, count];
    const axes = outputs === 'first' ? [1] : [0, 1, 2];
    const n = outputs === 'first' ? 6 : 18;
    const attributes = { outputs, epsilon: 1e-4, scale: 0.7 };
    const [w, dy] = [tensor('w', shape), tensor('dy', shape)];
    const norm = tf.sqrt(tf.sum(tf.square(w), axes, true));
    const m = tf.add(tf.mul(norm, 1 / Math.sqrt(n)), 1e-4);
    const y = run('UnitMagnitude', { w }, attributes) as unknown as tf.Tensor;
    expectClose(y, tf.mul(tf.div(w, m), 0.7), 1e-6);
    const inner = tf.sum(tf.mul(w, dy), axes, true);
    const along = tf.div(tf.mul(w, inner), tf.mul(tf.mul(tf.square(m), norm), Math.sqrt(n)));
    const [dw, dscale] = run('UnitMagnitudeGrad', { w, dy }, attributes);
    expectClose(dw!, tf.mul(tf.sub(tf.div(dy, m), along), 0.7), 2e-6);
    expectClose(dscale!, [tf.sum(tf.div(inner, m)).dataSync()[0]!], 2e-5);
    expect(dscale!.shape).toEqual([]);
  });

  it('that are zero stay zero, and take the gradient as it is', () => {
    const w = tf.zeros([2, 2, 1, count]);
    const attributes = { outputs: 'last', epsilon: 1e-4, scale: 1 };
    expectClose(run('UnitMagnitude', { w }, attributes) as unknown as tf.Tensor, w, 0);
    const [dw] = run('UnitMagnitudeGrad', { w, dy: tf.onesLike(w) }, attributes);
    expectClose(dw!, tf.fill(w.shape, 1e4), 1e-6);
  });
});

it('refuses shapes that differ', () => {
  expect(() => run('LinearCombination', { a: tf.zeros([2]), b: tf.zeros([3]) }, { alpha: 1, beta: 1 })).toThrow(
    'LinearCombination: b has shape [3], expected [2]',
  );
});
