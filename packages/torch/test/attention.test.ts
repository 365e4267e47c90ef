import '@cm/gradients';
import { configureTorch, isInstalled, type Precision } from '@cm/torch';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** softmax(q·kᵀ/√d)·v of tfjs operations. */
function composition(qkv: tf.Tensor3D, heads: number): tf.Tensor {
  const [batch, pixels, triple] = qkv.shape;
  const size = triple / 3 / heads;
  const parts = tf.transpose(tf.reshape(qkv, [batch, pixels, 3, heads, size]), [2, 0, 3, 1, 4]);
  const [q, k, v] = tf.unstack(parts) as [tf.Tensor, tf.Tensor, tf.Tensor];
  const weights = tf.softmax(tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(size)));
  return tf.reshape(tf.transpose(tf.matMul(weights, v), [0, 2, 1, 3]), [batch, pixels, triple / 3]);
}

const largest = (x: tf.Tensor) => tf.max(tf.abs(x)).dataSync()[0]!;

// Numbers of pixels and channels that are no multiples of vectors or blocks, and those of the networks.
describe.skipIf(!isInstalled())('the attention kernel (left out where `cm-torch setup` has not been run)', () => {
  beforeAll(async () => {
    await tf.setBackend('torch');
    configureTorch({ threads: 2 });
  });
  afterAll(() => {
    configureTorch({});
  });

  it.each([
    [2, 5, 1, 4],
    [1, 49, 2, 24],
    [3, 100, 3, 17],
    [2, 64, 1, 128],
    [2, 256, 2, 64],
    [1, 1, 1, 1],
  ])('agrees with its composition: %i images of %i pixels, %i heads of %i channels', (batch, pixels, heads, size) => {
    const qkv = tf.randomNormal([batch, pixels, 3 * heads * size], 0, 1, 'float32', 1) as tf.Tensor3D;
    const dy = tf.randomNormal([batch, pixels, heads * size], 0, 1, 'float32', 2);
    const y = tf.engine().runKernel('Attention', { qkv }, { heads }) as tf.Tensor;
    const expected = composition(qkv, heads);
    expect(y.shape).toEqual(expected.shape);
    expect(largest(tf.sub(y, expected))).toBeLessThan(5e-6);

    const dqkv = tf.engine().runKernel('AttentionGrad', { qkv, dy }, { heads }) as tf.Tensor;
    const gradient = tf.grad((x) => composition(x as tf.Tensor3D, heads))(qkv, dy);
    expect(largest(tf.sub(dqkv, gradient))).toBeLessThan(2e-5);
  });

  // qkv is bfloat16 when a convolution made it.
  it.each([
    [2, 256, 2, 64],
    [1, 48, 1, 32],
    [1, 80, 2, 48],
    [1, 50, 2, 24],
  ])(
    'in bfloat16 is as near as its rounding: %i images of %i pixels, %i heads of %i channels',
    (batch, pixels, heads, size) => {
      const x = tf.randomNormal([batch, pixels, 1, 32], 0, 1, 'float32', 1) as tf.Tensor4D;
      const filter = tf.randomNormal([1, 1, 32, 3 * heads * size], 0, 0.2, 'float32', 2) as tf.Tensor4D;
      const dy = tf.randomNormal([batch, pixels, heads * size], 0, 1, 'float32', 3);
      const run = (precision: Precision) => {
        configureTorch({ precision, threads: 2 });
        const qkv = tf.reshape(tf.conv2d(x, filter, 1, 'same'), [batch, pixels, -1]);
        const y = tf.engine().runKernel('Attention', { qkv }, { heads }) as tf.Tensor;
        return [y, tf.engine().runKernel('AttentionGrad', { qkv, dy }, { heads }) as tf.Tensor];
      };
      const exact = run('float32');
      run('bfloat16').forEach((rounded, i) => {
        const error = tf.norm(tf.sub(rounded, exact[i]!)).dataSync()[0]! / tf.norm(exact[i]!).dataSync()[0]!;
        expect(error).toBeGreaterThan(0);
        expect(error).toBeLessThan(0.02);
      });
    },
  );

  it('takes scores that would overflow', () => {
    const qkv = tf.mul(tf.randomNormal([1, 20, 24], 0, 1, 'float32', 3), 1e4);
    const y = tf.engine().runKernel('Attention', { qkv }, { heads: 1 }) as tf.Tensor;
    expect([...y.dataSync()].every(Number.isFinite)).toBe(true);
  });

  it('refuses channels that are not three for each head', () => {
    const run = () => tf.engine().runKernel('Attention', { qkv: tf.ones([1, 4, 10]) }, { heads: 2 });
    expect(run).toThrow(/^Attention: qkv has shape \[1, 4, 10\], expected \[batch, pixels, 3·heads·d\] with 2 heads/);
  });
});
