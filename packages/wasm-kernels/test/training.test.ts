import { expectClose, expectNoLeak, unit, useWasm } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';

beforeAll(useWasm);

const tensor = (name: string, shape: number[]) => tf.tensor(unit(name, shape), shape);
const run = (name: string, inputs: tf.NamedTensorMap, attributes: Record<string, number | string | boolean>) =>
  tf.engine().runKernel(name, inputs, attributes) as unknown as tf.Tensor[];

describe('one step of Adam', () => {
  // Of tensors that vectors and threads' runs divide and that they do not, and of none.
  const sizes = [[1], [3], [2, 2], [7], [66], [], [3, 16_384], [16_385]];

  it.each([
    [true, []],
    [false, [0.9]],
    [true, [0.999, 0.25]],
  ])('of all parameters, adaptive %s, with averages of %s', (adaptive, betas) => {
    const step = { beta1: 0.9, beta2: 0.99, factor: 0.01, epsilon: 1e-3, keep: 0.95, adaptive };
    const names = ['p', 'g', 'm', 'v', ...betas.map((_, j) => `average ${j}`)];
    const values = names.map((name) =>
      sizes.map((shape, i) => unit(`${name}${i}`, shape).map((x) => (name === 'v' ? x ** 2 : x))),
    );
    const inputs = values.flatMap((list, j) =>
      list.map((x, i) => [`${j}:${i}`, tf.tensor(x as Float32Array, sizes[i]!)] as const),
    );
    const outputs = run('AdamUpdateAll', Object.fromEntries(inputs), { ...step, betas } as never);
    expect(outputs.length).toBe((3 + betas.length) * sizes.length);
    // Independent of the kernel: float64.
    sizes.forEach((shape, i) => {
      const [p, g, m, v, ...averages] = values.map((list) => list[i]!) as [Float32Array, ...Float32Array[]];
      const mean = Float64Array.from(m!, (value, k) => 0.9 * value + 0.1 * g![k]!);
      const square = Float64Array.from(v!, (value, k) => 0.99 * value + 0.01 * g![k]! ** 2);
      const direction = adaptive ? mean.map((value, k) => value / (Math.sqrt(square[k]!) + 1e-3)) : mean;
      const moved = Float64Array.from(p, (x, k) => 0.95 * x - 0.01 * direction[k]!);
      const expected = [moved, mean, square];
      averages.forEach((average, j) => {
        expected.push(Float64Array.from(average, (x, k) => betas[j]! * x + (1 - betas[j]!) * moved[k]!));
      });
      expected.forEach((list, j) => {
        const output = outputs[j * sizes.length + i]!;
        expect(output.shape).toEqual(shape);
        expectClose(output, list, 1e-6);
      });
    });
  });

  it('leaves nothing behind', async () => {
    const inputs = Object.fromEntries([0, 1, 2, 3, 4].map((i) => [`${i}`, tensor(`${i}`, [5])]));
    const attributes = { beta1: 0.9, beta2: 0.9, factor: 1, epsilon: 1, keep: 1, adaptive: true, betas: [0.5] };
    const backend = tf.backend();
    const before = backend.numDataIds();
    await expectNoLeak(() => tf.dispose(run('AdamUpdateAll', inputs, attributes as never)));
    expect(backend.numDataIds()).toBe(before);
  });

  it('says what does not fit', () => {
    const kernel = (shapes: number[][]) => () =>
      run('AdamUpdateAll', Object.fromEntries(shapes.map((shape, i) => [`${i}`, tf.zeros(shape)])), {
        betas: [],
      } as never);
    expect(kernel([[2], [2], [2]])).toThrow('AdamUpdateAll: got 3 tensors, expected 4 of each parameter');
    expect(kernel([[2], [2], [3], [2]])).toThrow('AdamUpdateAll: 2:0 has shape [3], expected [2]');
  });
});

describe.each([1, 3, 4, 7, 66])('with %i values', (n) => {
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
