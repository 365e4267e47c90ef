import '@cm/gradients';
import { expectClose, onEveryBackend } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { describe, it } from 'vitest';
import { groupNorm } from '../src/group-norm';
import { tensor } from './small';

const options = { groups: 3, epsilon: 1e-2 };

function definition(x: tf.Tensor, gain: tf.Tensor, bias: tf.Tensor): tf.Tensor {
  const grouped = tf.reshape(x, [2, 20, 3, 4]);
  const centred = tf.sub(grouped, tf.mean(grouped, [1, 3], true));
  const variance = tf.mean(tf.square(centred), [1, 3], true);
  const normalised = tf.reshape(tf.div(centred, tf.sqrt(tf.add(variance, options.epsilon))), x.shape);
  const wide = (perChannel: tf.Tensor) => tf.reshape(perChannel, [-1, 1, 1, 12]);
  return tf.add(tf.mul(normalised, wide(gain)), wide(bias));
}

onEveryBackend(() => {
  describe.each([
    ['of every image alike', [12]],
    ['of each image its own', [2, 12]],
  ])('group normalisation with gain and bias %s', (_, shape) => {
    it.each([
      [0, false],
      [100, false],
      [0, true],
      [100, true],
    ])(
      'agrees with its definition, in value and gradient, at a mean of %d, followed by SiLU: %s',
      (mean, activation) => {
        const x = tf.add(tensor<tf.Rank.R4>('x', [2, 4, 5, 12]), mean);
        const [gain, bias] = [tensor('gain', shape as [number]), tensor('bias', shape as [number])];
        const inputs = [x, gain, bias];
        const run = (...[x, gain, bias]: tf.Tensor[]) =>
          groupNorm(x as tf.Tensor4D, gain!, bias!, { ...options, activation });
        const expected = (...[x, gain, bias]: tf.Tensor[]) => {
          const y = definition(x!, gain!, bias!);
          return activation ? tf.mul(y, tf.sigmoid(y)) : y;
        };
        expectClose(run(...inputs), expected(...inputs), 1e-4);
        const dy = tensor<tf.Rank.R4>('dy', [2, 4, 5, 12]);
        const mine = tf.grads(run)(inputs, dy);
        const theirs = tf.grads(expected)(inputs, dy);
        for (const [i, gradient] of mine.entries()) expectClose(gradient, theirs[i]!, 1e-4);
      },
    );
  });
});
