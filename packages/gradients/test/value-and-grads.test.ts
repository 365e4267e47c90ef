import { expectClose, expectNoLeak, onEveryBackend, unit } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { valueAndGrads } from '../src';

const tensor = (name: string, shape: number[]) => tf.tensor(unit(name, shape), shape);
const sum = (x: tf.Tensor) => tf.sum(x) as tf.Scalar;

onEveryBackend(() => {
  it('gives the value, and gradients under the names of the parameters', () => {
    const { value, grads } = valueAndGrads(({ a, b }) => sum(tf.mul(a!, b!)), {
      a: tf.tensor1d([1, 2]),
      b: tf.tensor1d([3, 4]),
    });
    expectClose(value, [11], 0);
    expectClose(grads.a!, [3, 4], 0);
    expectClose(grads.b!, [1, 2], 0);
  });

  it('is zero for a parameter that the value does not reach', () => {
    const { grads } = valueAndGrads(({ a }) => sum(a!), { a: tf.ones([2]), b: tf.ones([3]) });
    expectClose(grads.b!, [0, 0, 0], 0);
    const none = valueAndGrads(() => tf.scalar(3), { a: tf.ones([2]) });
    expectClose(none.value, [3], 0);
    expectClose(none.grads.a!, [0, 0], 0);
  });

  it('names the kernel that has no gradient, and what to import', () => {
    expect(() => valueAndGrads(({ a }) => sum(tf.prod(a!, 0)), { a: tf.ones([2]) })).toThrow(
      /no gradient is registered for kernel 'Prod'.*import '@tensorflow\/tfjs'/,
    );
  });

  it('refuses a value that is not a scalar, and no parameters', () => {
    expect(() => valueAndGrads(({ a }) => a as tf.Scalar, { a: tf.ones([2]) })).toThrow(
      'f returned a tensor of shape [2], expected a scalar',
    );
    expect(() => valueAndGrads(() => tf.scalar(1), {})).toThrow('params is empty');
  });

  it('leaves the parameters and its results, and nothing else', async () => {
    const params = { a: tensor('a', [3, 4]), b: tensor('b', [4, 2]), unused: tensor('c', [1]) };
    await expectNoLeak(() => {
      const before = tf.memory().numTensors;
      const results = valueAndGrads(({ a, b }) => tf.mean(tf.softmax(tf.matMul(a!, b!))) as tf.Scalar, params);
      expect(tf.memory().numTensors).toBe(before + 4);
      tf.dispose([results.value, results.grads]);
    });
    expectClose(params.a, unit('a', [3, 4]), 0);
  });

  it('leaves nothing when it fails, forward or backward', async () => {
    const params = { a: tensor('a', [3]) };
    const failures = [
      () => valueAndGrads(({ a }) => sum(tf.prod(tf.exp(a!), 0)), params),
      () => valueAndGrads(({ a }) => tf.exp(tf.square(a!)) as tf.Scalar, params),
    ];
    for (const fail of failures) await expectNoLeak(() => void expect(fail).toThrow());
  });

  it('frees as it goes back: a longer function holds no more when its beginning is reached', () => {
    let tensors = 0;
    const beginning = tf.customGrad((x) => ({
      value: tf.clone(x as tf.Tensor),
      gradFunc: (dy) => {
        tensors = tf.memory().numTensors;
        return tf.clone(dy);
      },
    }));
    const held = (length: number) => {
      const before = tf.memory().numTensors;
      const results = valueAndGrads(
        ({ x }) => {
          let y = beginning(x!);
          for (let i = 0; i < length; i++) y = tf.sigmoid(tf.square(y));
          return sum(y);
        },
        { x: tensor('x', [4]) },
      );
      tf.dispose([results.value, results.grads]);
      return tensors - before;
    };
    expect(held(40)).toBe(held(4));
  });

  it.each([
    ['the very tensor that it got', (dy: tf.Tensor) => [dy, dy]],
    [
      'one tensor to two inputs',
      (dy: tf.Tensor) => {
        const shared = tf.mul(dy, 1);
        return [shared, shared];
      },
    ],
  ])('lets a custom gradient pass on %s', (_, gradFunc) => {
    const both = tf.customGrad((a, b) => ({ value: tf.add(a as tf.Tensor, b as tf.Tensor), gradFunc }));
    const { grads } = valueAndGrads(({ a, b }) => sum(tf.square(both(tf.mul(a!, 2), tf.mul(b!, 3)))), {
      a: tf.scalar(1),
      b: tf.scalar(1),
    });
    expectClose(
      [grads.a!, grads.b!].map((grad) => grad.dataSync()[0]!),
      [20, 30],
      0,
    );
  });

  it('can itself be differentiated', () => {
    const steepness = (x: tf.Tensor) => {
      const { grads } = valueAndGrads(({ x }) => sum(tf.pow(x!, 3)), { x });
      return tf.sum(tf.square(grads.x!));
    };
    // d/dx Σ (3x²)² = 36x³
    expectClose(tf.grad(steepness)(tf.tensor1d([1, 2])), [36, 288], 1e-5);
  });
});
