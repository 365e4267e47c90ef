import { type Key, normal, split, uniform } from '@cm/random';
import * as tf from '@tensorflow/tfjs-core';
import type { Edm2Config } from './config';
import { parametersOf } from './parameters';

/**
 * Parameters as an untrained EDM2 network has them: standard-normal weights, zero gains, Fourier frequencies 2π·N(0, 1), phases
 * 2π·U(0, 1). Names are the public checkpoints'; convolutions are HWIO.
 */
export function initEdm2(config: Edm2Config, key: Key): tf.NamedTensorMap {
  return Object.fromEntries(
    parametersOf(config).map(({ name, shape, kind }) => {
      const own = split(key, name);
      const value = () => {
        if (kind === 'gain') return tf.scalar(0);
        if (kind === 'weight') return normal(own, [...shape] as [number]);
        return tf.mul(
          kind === 'frequencies' ? normal(own, [...shape] as [number]) : uniform(own, [...shape] as [number]),
          2 * Math.PI,
        );
      };
      return [name, tf.tidy(value)];
    }),
  );
}
