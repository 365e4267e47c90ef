import * as tf from '@tensorflow/tfjs-core';
import { afterEach, expect, it } from 'vitest';
import { registerGradients } from '../src';

const ours = tf.getGradient('Sigmoid');
const reset = (gradient: tf.GradConfig | undefined) => {
  if (tf.getGradient('Sigmoid')) tf.unregisterGradient('Sigmoid');
  if (gradient) tf.registerGradient(gradient);
};

afterEach(() => reset(ours));

it('happens on import', () => {
  expect(ours.kernelName).toBe('Sigmoid');
});

it('leaves a gradient alone that is registered already', () => {
  const other: tf.GradConfig = { kernelName: 'Sigmoid', gradFunc: (dy) => ({ x: () => dy as tf.Tensor }) };
  reset(other);
  registerGradients();
  expect(tf.getGradient('Sigmoid')).toBe(other);
});

it('fills in what was removed', () => {
  reset(undefined);
  registerGradients();
  expect(tf.getGradient('Sigmoid').gradFunc).toBe(ours.gradFunc);
});
