import '@cm/gradients';
import { dotProductAttention } from '@cm/edm2-unet';
import { expectNoLeak, unit, useWasm } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { expectSameAsOnCpu } from './on-cpu';

beforeAll(useWasm);
beforeEach(() => tf.setBackend('wasm'));

const tensor = (name: string, shape: number[], scale = 1) =>
  tf.tensor(
    unit(name, shape).map((value) => value * scale),
    shape,
  );

describe('softmax', () => {
  it.each([[1], [3], [4], [2, 7], [3, 8], [2, 3, 33], [5, 130], [0, 4]])(
    'of [%s] and more, and its gradient',
    async (...shape) => {
      await expectSameAsOnCpu(() => tf.softmax(tensor('x', shape, 9)), 1e-6);
      if (tf.util.sizeFromShape(shape) === 0) return;
      await expectSameAsOnCpu(() => tf.grad((x) => tf.softmax(x))(tensor('x', shape, 3), tensor('dy', shape)), 2e-6);
    },
  );

  it('of numbers far apart, and of −∞, which have no share', () => {
    const y = tf.softmax(tf.tensor2d([1e30, -1e30, 0, Number.NEGATIVE_INFINITY, 3, 3, 3, -200, 90, 89], [2, 5]));
    const shares = [1, 0, 0, 0, 0, 0, 0, 0, Math.E / (1 + Math.E), 1 / (1 + Math.E)];
    for (const [i, value] of y.dataSync().entries()) expect(value).toBeCloseTo(shares[i]!, 6);
    expect(y.dataSync()[3]).toBe(0);
    expect(tf.softmax(tf.tensor1d([1, Number.NaN, 2])).dataSync()).toEqual(new Float32Array(3).fill(Number.NaN));
  });
});

// Numbers of pixels and channels that are no multiples of vectors or blocks, and those of networks. On the CPU backend it is the composition.
describe('attention', () => {
  it.each([
    [2, 5, 1, 4],
    [1, 49, 2, 24],
    [3, 100, 3, 17],
    [2, 64, 1, 64],
    [1, 33, 2, 1],
    [1, 1, 1, 1],
  ])('and its gradient, %i images of %i pixels, %i heads of %i channels', async (batch, pixels, heads, size) => {
    const qkv = () => tensor('qkv', [batch, pixels, 3 * heads * size], 3) as tf.Tensor3D;
    const attend = (x: tf.Tensor) => dotProductAttention(x as tf.Tensor3D, heads);
    await expectSameAsOnCpu(() => attend(qkv()), 3e-6);
    const dy = () => tensor('dy', [batch, pixels, heads * size]);
    await expectSameAsOnCpu(() => tf.grad(attend)(qkv(), dy()), 5e-6);
  });

  it('takes scores that would overflow', () => {
    const y = dotProductAttention(tensor('x', [1, 20, 24], 1e4) as tf.Tensor3D, 1);
    expect([...y.dataSync()].every(Number.isFinite)).toBe(true);
  });

  it('leaves nothing behind', async () => {
    const qkv = tensor('qkv', [2, 40, 36]) as tf.Tensor3D;
    const attend = (x: tf.Tensor) => dotProductAttention(x as tf.Tensor3D, 2);
    await expectNoLeak(() => tf.tidy(() => void tf.grad(attend)(qkv, attend(qkv))));
  });

  it('says what does not fit', () => {
    const run = (shape: number[], dy?: number[]) => () =>
      dy
        ? tf.engine().runKernel('AttentionGrad', { qkv: tf.ones(shape), dy: tf.ones(dy) }, { heads: 2 })
        : tf.engine().runKernel('Attention', { qkv: tf.ones(shape) }, { heads: 2 });
    expect(run([1, 4, 10])).toThrow(
      'Attention: qkv has shape [1,4,10], expected [batch, pixels, 3·heads·d] with 2 heads',
    );
    expect(run([1, 4, 12], [1, 4, 5])).toThrow('AttentionGrad: dy is float32 [1,4,5], expected float32 [1,4,4]');
  });
});
