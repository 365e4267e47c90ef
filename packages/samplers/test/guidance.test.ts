import { expectClose, expectNoLeak, onEveryBackend, unit } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { classifierFreeGuided, type Denoiser, guided } from '../src';

const shape: [number, number, number, number] = [3, 2, 2, 1];
const scaled =
  (factor: number): Denoiser =>
  (x) =>
    tf.mul(x, factor);

onEveryBackend(() => {
  const inputs = () => ({ x: tf.tensor4d(unit('x', shape), shape), t: tf.tensor1d([0.1, 1, 10]) });

  it('extrapolates from the worse model: w = 1.5 is ω = 0.5 of Eq. 18', () => {
    const { x, t } = inputs();
    const [good, bad, w] = [3, 2, 1.5];
    expectClose(guided(scaled(good), scaled(bad), { strength: w })(x, t), tf.mul(x, bad + w * (good - bad)), 1e-6);
    expectClose(guided(scaled(good), scaled(bad), { strength: w })(x, t), tf.mul(x, good + 0.5 * (good - bad)), 1e-6);
  });

  it('at strength 1 is the good model itself', () => {
    const good = scaled(3);
    expect(guided(good, scaled(2), { strength: 1 })).toBe(good);
    expect(() => guided(good, good, { strength: Number.NaN })).toThrow('strength is NaN');
  });

  it('acts within its interval of noise levels only, row by row', () => {
    const { x, t } = inputs();
    let asked = 0;
    const bad: Denoiser = (y) => {
      asked++;
      return tf.mul(y, 2);
    };
    const within = guided(scaled(3), bad, { strength: 2, interval: { min: 0.1, max: 1 } });
    expectClose(within(x, t), tf.mul(x, tf.tensor([3, 4, 3], [3, 1, 1, 1])), 1e-6);
    expect(asked).toBe(1);
    expectClose(within(x, tf.fill([3], 5) as tf.Tensor1D), tf.mul(x, 3), 1e-6);
    expect(asked).toBe(1);
    expect(() => guided(bad, bad, { strength: 2, interval: { min: 2, max: 1 } })).toThrow('from 2 to 1');
  });

  it('without a classifier asks one network with and without the condition, in one call', () => {
    const { x, t } = inputs();
    const batches: number[] = [];
    const model: Denoiser = (y, _, condition) => {
      batches.push(y.shape[0]);
      return tf.mul(y, condition ? tf.reshape(tf.sum(condition, 1), [-1, 1, 1, 1]) : 0) as tf.Tensor4D;
    };
    const condition = tf.tensor2d([1, 0, 2, 0, 3, 0], [3, 2]);
    const once = classifierFreeGuided(model, { strength: 2, unconditional: tf.zeros([2]) })(x, t, condition);
    const twice = classifierFreeGuided(model, { strength: 2 })(x, t, condition);
    expectClose(once, tf.mul(x, tf.tensor([2, 4, 6], [3, 1, 1, 1])), 1e-6);
    expectClose(twice, once, 0);
    expect(batches).toEqual([6, 3, 3]);
    expect(() => classifierFreeGuided(model, { strength: 2 })(x, t)).toThrow('condition is missing');
  });

  it('leaves no tensors', async () => {
    const { x, t } = inputs();
    const condition = tf.ones([3, 2]);
    const model = classifierFreeGuided(scaled(1), {
      strength: 2,
      unconditional: tf.zeros([1, 2]),
      interval: { max: 5 },
    });
    await expectNoLeak(() => tf.dispose(model(x, t, condition)));
  });
});
