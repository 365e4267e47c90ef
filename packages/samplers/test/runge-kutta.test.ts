import { key } from '@cm/random';
import { expectClose, onEveryBackend } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { type Denoiser, sampleOneStep, sampleRungeKutta45 } from '../src';
import { counted, gaussian, pathEnd } from './support';

const shape: [number, number, number, number] = [2, 2, 2, 1];
const options = { shape, key: key(1), sigmaMax: 10 };

onEveryBackend(() => {
  it('follows the exact path as closely as asked', () => {
    const exact = sampleOneStep(pathEnd, options);
    const error = (tolerance: number) => {
      const images = sampleRungeKutta45(gaussian, { ...options, rtol: tolerance, atol: tolerance });
      return tf.max(tf.abs(tf.sub(images, exact))).dataSync()[0]!;
    };
    expect(error(1e-2)).toBeLessThan(1e-1);
    expect(error(1e-4)).toBeLessThan(1e-3);
    expect(error(1e-4)).toBeLessThan(error(1e-2) / 10);
  });

  it('evaluates once at first, six times an attempted step, and once at the end', () => {
    for (const tolerance of [1e-1, 1e-3]) {
      const { calls, model } = counted(gaussian);
      let attempts = 0;
      const onStep = ({ noiseLevel }: { noiseLevel: number }) => {
        if (noiseLevel > 0) attempts++;
      };
      sampleRungeKutta45(model, { ...options, rtol: tolerance, atol: tolerance, onStep });
      expect(calls).toHaveLength(6 * attempts + 2);
      expectClose(calls.slice(-1), [0.002], 1e-6);
    }
  });

  it('stops where evaluations do not suffice, leaving nothing', () => {
    const before = tf.memory().numTensors;
    const { calls, model } = counted(gaussian);
    expect(() => sampleRungeKutta45(model, { ...options, maxEvaluations: 20 })).toThrow('maxEvaluations is 20');
    expect(calls.length).toBeLessThanOrEqual(20);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('gives each image steps of its own', () => {
    // The first image's path is a straight line, the second's wiggles: the first one does not wait for it.
    const wiggly: Denoiser = (x, t) => {
      const wave = tf.reshape(tf.sin(tf.mul(t, 3)), [-1, 1, 1, 1]);
      return tf.mul(wave, tf.tensor4d([0, 1].slice(0, x.shape[0]), [x.shape[0], 1, 1, 1])) as tf.Tensor4D;
    };
    const sizes: number[] = [];
    const both = sampleRungeKutta45((x, t) => {
      sizes.push(new Set(t.dataSync()).size);
      return wiggly(x, t);
    }, options);
    expect(Math.max(...sizes)).toBe(2);
    const first = sampleRungeKutta45(wiggly, { ...options, shape: [1, 2, 2, 1] });
    expectClose(first, tf.slice(both, 0, 1), 1e-6);
  });
});
