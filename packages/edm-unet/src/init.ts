import { type Key, normal, split, uniform } from '@cm/random';
import * as tf from '@tensorflow/tfjs-core';
import type { EdmConfig } from './config';
import { type Distribution, parametersOf } from './parameters';

/**
 * Parameters as an untrained network has them, by the reference's rules: DDPM++ and NCSN++ uniform after Glorot with last layers of nearly
 * nothing, ADM uniform to 1/√(fan in) with last layers of zeros. Names are the public checkpoints'; convolutions are HWIO.
 */
export function initEdm(config: EdmConfig, key: Key): tf.NamedTensorMap {
  return Object.fromEntries(
    parametersOf(config).map(({ name, shape, initial }) => [name, draw(split(key, name), [...shape], initial)]),
  );
}

const draw = (key: Key, shape: number[], initial: Distribution) =>
  tf.tidy(() => {
    switch (initial.kind) {
      case 'constant':
        return tf.fill(shape, initial.value);
      case 'normal':
        return tf.mul(normal(key, shape as [number]), initial.deviation);
      case 'uniform':
        return tf.mul(tf.sub(tf.mul(uniform(key, shape as [number]), 2), 1), initial.bound);
    }
  });
