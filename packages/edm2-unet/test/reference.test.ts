import { valueAndGrads } from '@cm/gradients';
import { expectClose, onEveryBackend, unit } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { edm2Denoiser, edm2LogVariance, forceWeightNorm, normalizeWeights } from '../src';
import { speedUpCpuFilterGradient } from './cpu-filter-gradient';
import { asParameter, images, readReference } from './reference';

const labelsOf = (batch: number, labelDim: number) => {
  const labels = Array.from({ length: batch }, (_, i) => i % labelDim);
  return labelDim > 0 ? tf.tensor1d(labels, 'int32') : undefined;
};

onEveryBackend(() => {
  beforeAll(speedUpCpuFilterGradient);

  describe.each(['edm2-tiny', 'edm2-uncond'] as const)('the reference network %s', (name) => {
    const { config, tensors, tag, params } = readReference(name);
    const inputs = () => {
      const x = images(tensors.x!);
      return { x, t: tf.tensor1d(tensors.sigma!.data as Float32Array), labels: labelsOf(x.shape[0], config.labelDim) };
    };
    const recorded = (prefix: string) =>
      Object.entries(tensors)
        .filter(([key]) => key.startsWith(prefix))
        .map(([key, value]) => ({ name: key.slice(prefix.length), expected: asParameter(value) }));

    it('gives the same images and uncertainties', () => {
      const { weights } = normalizeWeights(config, params());
      const { x, t, labels } = inputs();
      expectClose(edm2Denoiser(config, weights)(x, t, labels), images(tensors.denoised!), 1e-4);
      expectClose(edm2LogVariance(weights, t), tensors.logvar!.data as Float32Array, 1e-4);
    });

    it('has its weights normalised by force in the same way', () => {
      const forced = forceWeightNorm(config, params());
      const some = recorded('normalized.');
      expect(some.length).toBeGreaterThan(3);
      for (const { name, expected } of some) expectClose(forced[name]!, expected, 1e-5);
    });

    it('gives the same images in training, and the same gradient of every parameter', () => {
      const { weights, pullback } = normalizeWeights(config, forceWeightNorm(config, params()));
      const { x, t, labels } = inputs();
      const probeShape = tensors.x!.shape;
      const probe = images({ shape: probeShape, data: unit(`${tag}probe`, probeShape) });
      let denoised: tf.Tensor4D | undefined;
      const { grads } = valueAndGrads((given) => {
        denoised = tf.keep(edm2Denoiser(config, given)(x, t, labels));
        return tf.sum(tf.mul(denoised, probe)) as tf.Scalar;
      }, weights);
      expectClose(denoised!, images(tensors['train.denoised']!), 1e-4);

      const pulled = pullback(grads);
      const all = recorded('grad.');
      expect(all.length).toBeGreaterThan(30);
      const gains = all.filter(({ name }) => name.endsWith('_gain'));
      for (const { name, expected } of all) {
        if (!name.endsWith('_gain')) expectClose(pulled[name]!, expected, 1e-4);
      }
      // A gain's gradient is one sum over a layer in which terms of both signs cancel: compared as one vector.
      const vector = (values: tf.Tensor[]) => values.map((value) => value.dataSync()[0]!);
      expectClose(vector(gains.map(({ name }) => pulled[name]!)), vector(gains.map(({ expected }) => expected)), 1e-4);
    });
  });
});
