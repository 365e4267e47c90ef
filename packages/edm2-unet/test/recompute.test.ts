import { valueAndGrads } from '@cm/gradients';
import { key } from '@cm/random';
import { expectClose, expectNoLeak, onEveryBackend } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { edm2Denoiser, initEdm2, normalizeWeights, recomputed } from '../src';
import { speedUpCpuFilterGradient } from './cpu-filter-gradient';
import { small, tensor } from './small';

onEveryBackend(() => {
  beforeAll(speedUpCpuFilterGradient);

  describe('a function whose backward pass computes it again', () => {
    const inputs = () => ({ a: tensor<tf.Rank.R1>('a', [5]), b: tensor<tf.Rank.R1>('b', [5]), unused: tf.scalar(1) });
    const f = ({ a, b }: tf.NamedTensorMap) => tf.mul(tf.exp(tf.mul(a!, 0.3)), tf.sigmoid(b!));
    const loss = (g: (inputs: tf.NamedTensorMap) => tf.Tensor) => (given: tf.NamedTensorMap) =>
      tf.sum(tf.square(g({ ...given, a: tf.sin(given.a!) }))) as tf.Scalar;

    it('has its value and gradients', () => {
      const plain = valueAndGrads(loss(f), inputs());
      const again = valueAndGrads(
        loss((given) => recomputed(f, given)),
        inputs(),
      );
      expectClose(again.value, plain.value, 0);
      for (const name of Object.keys(plain.grads)) expectClose(again.grads[name]!, plain.grads[name]!, 1e-6);
    });

    it('passes a gradient on to two inputs, each its own', () => {
      const sum = ({ a, b }: tf.NamedTensorMap) => tf.add(a!, b!);
      const { grads } = valueAndGrads((given) => {
        const y = recomputed(sum, { a: given.a!, b: given.b! });
        return tf.sum(tf.mul(tf.add(y, given.a!), tensor<tf.Rank.R1>('probe', [5]))) as tf.Scalar;
      }, inputs());
      expectClose(grads.b!, tensor<tf.Rank.R1>('probe', [5]), 1e-6);
      expectClose(grads.a!, tf.mul(tensor<tf.Rank.R1>('probe', [5]), 2), 1e-6);
    });

    it('works with the gradients of tfjs itself', () => {
      const given = tensor<tf.Rank.R1>('a', [5]);
      const again = tf.grad((a: tf.Tensor) => tf.sum(recomputed(({ a }) => tf.exp(tf.sin(a!)), { a })))(given);
      expectClose(again, tf.mul(tf.exp(tf.sin(given)), tf.cos(given)), 1e-6);
    });
  });

  describe('a network that computes its blocks again', () => {
    const params = () => {
      const all = initEdm2(small, key(1));
      for (const name of Object.keys(all)) if (name.endsWith('gain')) all[name] = tf.scalar(0.7);
      return normalizeWeights(small, all).weights;
    };
    const step = (recompute: boolean, weights: tf.NamedTensorMap) =>
      valueAndGrads((given) => {
        const model = edm2Denoiser(small, given, { dropout: { key: key(2) }, recompute });
        const x = tensor<tf.Rank.R4>('x', [2, 8, 8, 1]) as tf.Tensor4D;
        return tf.mean(tf.square(model(x, tf.tensor1d([0.5, 5])))) as tf.Scalar;
      }, weights);

    it('has the same gradients, with the same dropout, and leaves no tensors', async () => {
      const weights = params();
      const [plain, again] = [step(false, weights), step(true, weights)];
      expectClose(again.value, plain.value, 1e-6);
      for (const name of Object.keys(weights)) expectClose(again.grads[name]!, plain.grads[name]!, 1e-5);
      await expectNoLeak(() => {
        const { value, grads } = step(true, weights);
        tf.dispose([value, grads]);
      });
    });

    it('holds less at once', async () => {
      const weights = params();
      const peak = async (recompute: boolean) => {
        const held = tf.memory().numBytes;
        const { peakBytes } = await tf.profile(() => {
          const { value, grads } = step(recompute, weights);
          tf.dispose(grads);
          return value;
        });
        return peakBytes - held;
      };
      expect(await peak(true)).toBeLessThan(0.8 * (await peak(false)));
    });
  });
});
