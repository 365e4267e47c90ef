import { valueAndGrads } from '@cm/gradients';
import { expectClose, onEveryBackend, unit } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, it } from 'vitest';
import { speedUpCpuFilterGradient } from '../../edm2-unet/test/cpu-filter-gradient';
import { edmDenoiser } from '../src';
import { asParameter, images, readReference } from './reference';

onEveryBackend(() => {
  beforeAll(speedUpCpuFilterGradient);

  it.each(['ddpmpp-tiny', 'ncsnpp-tiny'] as const)(
    'the reference network %s gives the same images, and the same gradient of every parameter',
    (name) => {
      const { config, tensors, tag, params } = readReference(name);
      const x = images(tensors.x!);
      const batch = x.shape[0];
      const t = tf.tensor1d(tensors.sigma!.data as Float32Array);
      const classes = Array.from({ length: batch }, (_, i) => i % config.labelDim);
      const labels = config.labelDim > 0 ? tf.tensor1d(classes, 'int32') : null;
      const augment =
        tensors.augment_labels &&
        tf.tensor2d(tensors.augment_labels.data as Float32Array, tensors.augment_labels.shape as [number, number]);
      const shape = tensors.x!.shape;
      const probe = images({ shape, data: unit(`${tag}probe`, shape) });
      let denoised: tf.Tensor4D | undefined;
      const { grads } = valueAndGrads((given) => {
        denoised = tf.keep(edmDenoiser(config, given)(x, t, labels, undefined, augment));
        return tf.sum(tf.mul(denoised, probe)) as tf.Scalar;
      }, params());
      expectClose(denoised!, images(tensors.denoised!), 1e-4);
      const recorded = Object.entries(tensors).filter(([key]) => key.startsWith('grad.'));
      const frozen = Object.keys(grads).filter((key) => key.endsWith('freqs'));
      expect(recorded.length).toBe(Object.keys(grads).length - frozen.length);
      for (const [key, expected] of recorded)
        expectClose(grads[key.slice('grad.'.length)]!, asParameter(expected), 1e-4);
      for (const key of frozen) expect(tf.max(tf.abs(grads[key]!)).dataSync()[0]).toBe(0);
    },
  );
});
