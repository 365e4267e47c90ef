import { key } from '@cm/random';
import { phaseGrid } from '@cm/schedules';
import { expectClose, onEveryBackend } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { middleLevels, sampleMultistep, sampleOneStep, samplePhased } from '../src';
import { counted, deviation, gaussian, pathEnd } from './support';

const shape: [number, number, number, number] = [3, 2, 2, 1];
const options = { shape, key: key(1), sigmaMax: 10 };

onEveryBackend(() => {
  describe('one step', () => {
    it('is D(σ_max·ε, σ_max)', () => {
      const { calls, model } = counted((x) => tf.mul(x, 0.1));
      const images = sampleOneStep(model, options);
      expect(calls).toEqual([10]);
      expect(images.shape).toEqual(shape);
      const spread = sampleOneStep((x) => x, { ...options, shape: [50, 8, 8, 1] });
      expect(Math.abs(Math.sqrt(tf.mean(tf.square(spread)).dataSync()[0]!) - 10)).toBeLessThan(0.5);
    });

    it('starts from given noise and given images', () => {
      const noise = tf.fill(shape, 2) as tf.Tensor4D;
      const start = tf.fill(shape, 0.5) as tf.Tensor4D;
      expectClose(
        sampleOneStep((x) => x, { ...options, noise, start }),
        tf.fill(shape, 20.5),
        1e-6,
      );
      expect(() => sampleOneStep((x) => x, { ...options, noise: tf.zeros([1, 2, 2, 1]) })).toThrow(
        'sampleMultistep: noise has shape [1,2,2,1], expected shape, [3,2,2,1]',
      );
    });
  });

  describe('several steps', () => {
    it('add fresh noise of each middle level', () => {
      const { calls, model } = counted(pathEnd);
      sampleMultistep(model, { ...options, middle: [2, 0.5] });
      expect(calls).toEqual([10, 2, 0.5]);
      expectClose(
        sampleMultistep(() => tf.zeros(shape), { ...options, middle: [2] }),
        new Float32Array(12),
        0,
      );
      // With an exact model every step's samples are the data's.
      const many = sampleMultistep(pathEnd, { ...options, shape: [200, 4, 4, 1], middle: [2, 0.5] });
      expect(Math.sqrt(tf.mean(tf.square(many)).dataSync()[0]!)).toBeCloseTo(deviation, 1);
    });

    it('know the levels of the recipes, and refuse what does not fall', () => {
      const { calls, model } = counted(pathEnd);
      sampleMultistep(model, { ...options, middle: middleLevels.imagenet64 });
      expectClose(calls, [10, 1.526], 1e-6);
      expect(() => sampleMultistep(model, { ...options, middle: [12] })).toThrow(
        'middle[0] is 12, expected above 0 and below 10',
      );
    });
  });

  describe('phases', () => {
    const phases = phaseGrid([10, 2, 0.5, 0]);

    it('go from edge to edge, inner edges moved by η (Eq. 19, 20)', () => {
      const { calls, model } = counted(gaussian);
      samplePhased(model, { ...options, phases });
      expectClose(calls, [10, 1.8, 0.45], 1e-6);
      calls.length = 0;
      samplePhased(model, { ...options, phases, eta: 1 });
      expectClose(calls, [10, 2, 0.5], 1e-6);
    });

    it('step by x_s = D + (s/t)(x_t − D) (Eq. 16)', () => {
      const noise = tf.fill(shape, 1) as tf.Tensor4D;
      // D = 1 always: x = 1 + (x − 1)·s/t telescopes.
      const xs: number[] = [];
      const onStep = ({ x }: { x: tf.Tensor4D }) => xs.push(x.dataSync()[0]!);
      samplePhased(() => tf.ones(shape), { ...options, phases, eta: 0.5, noise, onStep: onStep });
      expectClose(xs, [1 + 9 * 0.1, 1 + 9 * 0.025, 1], 1e-6);
    });

    it('are one-step sampling where there is one', () => {
      const one = samplePhased(pathEnd, { ...options, phases: phaseGrid([10, 0]) });
      expectClose(one, sampleOneStep(pathEnd, options), 1e-6);
    });

    it('refuse an η that leaves the phase', () => {
      expect(() => samplePhased(gaussian, { ...options, phases, eta: 0 })).toThrow('eta is 0');
      expect(() => samplePhased(gaussian, { ...options, phases, eta: 0.2 })).toThrow(
        'expected above the next edge, 0.5',
      );
    });
  });
});
