import '@cm/gradients';
import { type Edm2Config, edm2Config, edm2Denoiser, initEdm2, normalizeWeights } from '@cm/edm2-unet';
import { valueAndGrads } from '@cm/gradients';
import { key, normal } from '@cm/random';
import { configureTorch, isInstalled, type Precision } from '@cm/torch';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const config: Edm2Config = edm2Config({
  resolution: 16,
  channels: 3,
  modelChannels: 32,
  channelMult: [1, 2],
  numBlocks: 1,
  attnResolutions: [8],
});

// Convolutions give bfloat16, and activations, normalisations, sums, concatenation, resampling and attention pass it on.
describe.skipIf(!isInstalled())('a network in bfloat16 (left out where `cm-torch setup` has not been run)', () => {
  beforeAll(async () => {
    await tf.setBackend('torch');
  });
  afterAll(() => {
    configureTorch({});
  });

  it('has nearly the output and the gradients of float32', () => {
    const params = { ...initEdm2(config, key(0)), 'unet.out_gain': tf.scalar(1) };
    const { weights } = normalizeWeights(config, params);
    const x = normal(key(1), [4, 16, 16, 3]) as tf.Tensor4D;
    const t = tf.tensor1d([0.1, 0.5, 2, 10]);
    const run = (precision: Precision) => {
      configureTorch({ precision, threads: 1 });
      const denoised = edm2Denoiser(config, weights)(x, t);
      const { grads } = valueAndGrads((w) => tf.mean(tf.square(edm2Denoiser(config, w)(x, t))) as tf.Scalar, weights);
      return { denoised, gradient: tf.concat(Object.values(grads).map((g) => tf.reshape(g, [-1]))) };
    };
    const [exact, rounded] = [run('float32'), run('bfloat16')];
    const cosine = (a: tf.Tensor, b: tf.Tensor) => {
      const inner = (p: tf.Tensor, q: tf.Tensor) => tf.sum(tf.mul(p, q)).dataSync()[0]!;
      return inner(a, b) / Math.sqrt(inner(a, a) * inner(b, b));
    };
    expect(rounded.denoised.dtype).toBe('float32');
    expect(rounded.denoised.dataSync()).not.toEqual(exact.denoised.dataSync());
    expect(cosine(exact.denoised, rounded.denoised)).toBeGreaterThan(0.9999);
    expect(cosine(exact.gradient, rounded.gradient)).toBeGreaterThan(0.999);
  });
});
