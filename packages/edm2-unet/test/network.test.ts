import { valueAndGrads } from '@cm/gradients';
import { key } from '@cm/random';
import { expectClose, expectNoLeak, onEveryBackend, unit } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { edm2Config, edm2Denoiser, edm2LogVariance, forceWeightNorm, initEdm2, normalizeWeights } from '../src';
import { asParameter, images, readReference } from './reference';

const names = ['edm2-tiny', 'edm2-uncond'] as const;
const labelsOf = (batch: number, labelDim: number) =>
  labelDim > 0
    ? tf.tensor1d(
        Array.from({ length: batch }, (_, i) => i % labelDim),
        'int32',
      )
    : undefined;

onEveryBackend(() => {
  describe.each(names)('the reference network %s', (name) => {
    const { config, tensors, tag, params } = readReference(name);
    const inputs = () => {
      const x = images(tensors.x!);
      return { x, t: tf.tensor1d(tensors.sigma!.data as Float32Array), labels: labelsOf(x.shape[0], config.labelDim) };
    };

    it('gives the same images and uncertainties', () => {
      const { weights } = normalizeWeights(config, params());
      const { x, t, labels } = inputs();
      expectClose(edm2Denoiser(config, weights)(x, t, labels), images(tensors.denoised!), 1e-4);
      expectClose(edm2LogVariance(weights, t), tensors.logvar!.data as Float32Array, 1e-4);
    });

    it('has its weights normalised by force in the same way', () => {
      const forced = forceWeightNorm(config, params());
      const recorded = Object.entries(tensors).filter(([key]) => key.startsWith('normalized.'));
      expect(recorded.length).toBeGreaterThan(3);
      for (const [key, value] of recorded)
        expectClose(forced[key.slice('normalized.'.length)]!, asParameter(value), 1e-5);
    });

    it('gives the same images in training, and the same gradient of every parameter', () => {
      const forced = forceWeightNorm(config, params());
      const { weights, pullback } = normalizeWeights(config, forced);
      const { x, t, labels } = inputs();
      const [n, c, h, w] = tensors.x!.shape as [number, number, number, number];
      const probe = images({ shape: [n, c, h, w], data: unit(`${tag}probe`, [n, c, h, w]) });
      expectClose(edm2Denoiser(config, weights)(x, t, labels), images(tensors['train.denoised']!), 1e-4);

      const { grads } = valueAndGrads(
        (given) => tf.sum(tf.mul(edm2Denoiser(config, given)(x, t, labels), probe)) as tf.Scalar,
        weights,
      );
      const pulled = pullback(grads);
      const recorded = Object.entries(tensors).filter(([key]) => key.startsWith('grad.'));
      expect(recorded.length).toBeGreaterThan(30);
      const gains: [mine: number, theirs: number][] = [];
      for (const [key, value] of recorded) {
        const [mine, theirs] = [pulled[key.slice('grad.'.length)]!.dataSync(), asParameter(value).dataSync()];
        if (key.endsWith('_gain')) gains.push([mine[0]!, theirs[0]!]);
        else expectClose(mine, theirs, 1e-4);
      }
      // A gain's gradient is one sum over a layer in which terms of both signs cancel: compared as one vector.
      expectClose(
        gains.map(([mine]) => mine),
        gains.map(([, theirs]) => theirs),
        1e-4,
      );
    });
  });

  const config = edm2Config({
    resolution: 8,
    channels: 1,
    modelChannels: 8,
    channelMult: [1, 2],
    numBlocks: 1,
    attnResolutions: [4],
    channelsPerHead: 8,
    dropout: 0.3,
  });

  it('drops the same activations of a row whether it comes with its batch or with a few others', () => {
    const params = initEdm2(config, key(1));
    params['unet.out_gain'] = tf.scalar(1);
    const { weights } = normalizeWeights(config, params);
    const model = edm2Denoiser(config, weights, { dropout: { key: key(2) } });
    const x = tf.tensor4d(unit('x', [4, 8, 8, 1]), [4, 8, 8, 1]);
    const t = tf.tensor1d([0.1, 0.5, 2, 10]);
    const whole = model(x, t);
    const some = tf.tensor1d([3, 1], 'int32');
    const part = model(tf.gather(x, some), tf.gather(t, some), undefined, [3, 1]);
    expectClose(part, tf.gather(whole, some), 1e-6);
    const other = model(tf.gather(x, some), tf.gather(t, some), undefined, [0, 1]);
    expect(tf.max(tf.abs(tf.sub(other, part))).dataSync()[0]).toBeGreaterThan(1e-3);
  });

  it('keeps activations at unit magnitude, so that an untrained network’s raw output is too', () => {
    const wide = edm2Config({ ...config, modelChannels: 32, channelMult: [1, 1] });
    const params = initEdm2(wide, key(3));
    params['unet.out_gain'] = tf.scalar(1);
    const { weights } = normalizeWeights(wide, params);
    const t = 80;
    const x = tf.tensor4d(
      unit('x', [8, 8, 8, 1]).map((v) => v * t),
      [8, 8, 8, 1],
    );
    const denoised = edm2Denoiser(wide, weights)(x, tf.fill([8], t));
    const raw = tf.mul(denoised, Math.sqrt(t ** 2 + 0.25) / (0.5 * t));
    const magnitude = Math.sqrt(tf.mean(tf.square(raw)).dataSync()[0]!);
    // Padding with zeros at the border takes some away.
    expect(magnitude).toBeGreaterThan(0.5);
    expect(magnitude).toBeLessThan(1.2);
  });

  it('leaves no tensors in a step but those it returns', async () => {
    const params = initEdm2(config, key(4));
    const x = tf.zeros([2, 8, 8, 1]) as tf.Tensor4D;
    const t = tf.tensor1d([1, 2]);
    await expectNoLeak(() => {
      const forced = forceWeightNorm(config, params);
      const { weights, pullback } = normalizeWeights(config, forced);
      const model = (given: tf.NamedTensorMap) => edm2Denoiser(config, given, { dropout: { key: key(5) } })(x, t);
      const { value, grads } = valueAndGrads((given) => tf.mean(tf.square(model(given))) as tf.Scalar, weights);
      const pulled = pullback(grads);
      tf.dispose([forced, weights, value, grads, pulled]);
    });
  });
});
