import { key } from '@cm/random';
import { phaseGrid } from '@cm/schedules';
import { expectClose, expectNoLeak, onEveryBackend } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import {
  type Denoiser,
  type SampleOptions,
  type SamplerStep,
  sampleAncestralEuler,
  sampleDeis,
  sampleDpm2,
  sampleDpm3,
  sampleDpmFast,
  sampleDpmPlusPlus2M,
  sampleDpmPlusPlus2S,
  sampleDpmPlusPlus3M,
  sampleEuler,
  sampleHeun,
  sampleLms,
  sampleMultistep,
  sampleOneStep,
  samplePhased,
  sampleRungeKutta45,
  sampleUniPc,
  toPixels,
} from '../src';
import { counted, gaussian } from './support';

const shape: [number, number, number, number] = [3, 2, 2, 1];
const options = { shape, key: key(1), sigmaMax: 10 };

/** Every sampler at four steps, with the number of evaluations that it documents. */
const samplers: Record<string, { evaluations?: number; sample: (model: Denoiser, o: SampleOptions) => tf.Tensor4D }> = {
  multistep: { evaluations: 3, sample: (model, o) => sampleMultistep(model, { ...o, middle: [2, 1] }) },
  phased: { evaluations: 3, sample: (model, o) => samplePhased(model, { ...o, phases: phaseGrid([10, 2, 0.5, 0]) }) },
  Euler: { evaluations: 4, sample: (model, o) => sampleEuler(model, { ...o, steps: 4 }) },
  'ancestral Euler': { evaluations: 4, sample: (model, o) => sampleAncestralEuler(model, { ...o, steps: 4 }) },
  Heun: { evaluations: 7, sample: (model, o) => sampleHeun(model, { ...o, steps: 4 }) },
  'Heun with churn': {
    evaluations: 7,
    sample: (model, o) => sampleHeun(model, { ...o, steps: 4, churn: { amount: 1 } }),
  },
  'DPM-Solver-2': { evaluations: 7, sample: (model, o) => sampleDpm2(model, { ...o, steps: 4 }) },
  'DPM-Solver-3': { evaluations: 10, sample: (model, o) => sampleDpm3(model, { ...o, steps: 4 }) },
  'DPM-Solver-fast': { evaluations: 9, sample: (model, o) => sampleDpmFast(model, { ...o, evaluations: 9 }) },
  'DPM-Solver++(2S)': { evaluations: 7, sample: (model, o) => sampleDpmPlusPlus2S(model, { ...o, steps: 4, eta: 1 }) },
  'DPM-Solver++(2M)': { evaluations: 4, sample: (model, o) => sampleDpmPlusPlus2M(model, { ...o, steps: 4 }) },
  'DPM-Solver++(3M)': { evaluations: 4, sample: (model, o) => sampleDpmPlusPlus3M(model, { ...o, steps: 4 }) },
  'SDE-DPM-Solver++(3M)': {
    evaluations: 4,
    sample: (model, o) => sampleDpmPlusPlus3M(model, { ...o, steps: 4, eta: 1 }),
  },
  DEIS: { evaluations: 4, sample: (model, o) => sampleDeis(model, { ...o, steps: 4 }) },
  LMS: { evaluations: 4, sample: (model, o) => sampleLms(model, { ...o, steps: 4 }) },
  UniPC: { evaluations: 4, sample: (model, o) => sampleUniPc(model, { ...o, steps: 4 }) },
  RK45: { sample: (model, o) => sampleRungeKutta45(model, { ...o, rtol: 0.05, atol: 0.05 }) },
};

onEveryBackend(() => {
  describe.each(Object.entries(samplers))('%s', (_, { evaluations, sample }) => {
    it.runIf(evaluations)('evaluates as often as it says', () => {
      const { calls, model } = counted(gaussian);
      sample(model, options);
      expect(calls).toHaveLength(evaluations!);
      // The last one ends at the denoised image: a model that is 0 there gives 0.
      let left = evaluations!;
      const vanishing: Denoiser = (x) => (--left === 0 ? tf.zerosLike(x) : tf.mul(x, 0.5));
      expectClose(sample(vanishing, options), new Float32Array(12), 0);
    });

    it('draws an image by its seed, whatever the batch', () => {
      const three = sample(gaussian, { ...options, seeds: [5, 6, 7] });
      const one = sample(gaussian, { ...options, seeds: [6], shape: [1, 2, 2, 1] });
      expectClose(one, tf.slice(three, 1, 1), 1e-6);
      expect(Array.from(tf.slice(three, 0, 1).dataSync())).not.toEqual(Array.from(one.dataSync()));
    });

    it('hands the condition to the model', () => {
      const condition = tf.tensor1d([3, 2, 1], 'int32');
      const seen = new Set<unknown>();
      const model: Denoiser = (x, t, given) => {
        seen.add(given);
        return gaussian(x, t);
      };
      sample(model, { ...options, condition });
      expect([...seen]).toEqual([condition]);
    });

    it('reports falling noise levels, lends its tensors, and leaves none', async () => {
      const seen: SamplerStep[] = [];
      const clones: tf.Tensor[] = [];
      const images = sample(gaussian, {
        ...options,
        onStep: (step) => {
          seen.push(step);
          clones.push(tf.clone(step.denoised), tf.clone(step.x));
        },
      });
      expect(seen.map(({ index }) => index)).toEqual(seen.map((_, i) => i));
      expect(seen.at(-1)!.noiseLevel).toBe(0);
      for (let i = 1; i < seen.length; i++) expect(seen[i]!.noiseLevel).toBeLessThanOrEqual(seen[i - 1]!.noiseLevel);
      expectClose(clones.at(-1)!, images, 0);
      expect(seen[0]!.x.isDisposed && seen[0]!.denoised.isDisposed).toBe(true);
      await expectNoLeak(() => tf.dispose(sample(gaussian, options)));
    });

    it('can be stopped between evaluations, leaving nothing', () => {
      const before = tf.memory().numTensors;
      const controller = new AbortController();
      let evaluations = 0;
      const stopping: Denoiser = (x, t) => {
        if (++evaluations === 2) controller.abort(new Error('enough'));
        return gaussian(x, t);
      };
      expect(() => sample(stopping, { ...options, signal: controller.signal })).toThrow('enough');
      expect(evaluations).toBe(2);
      expect(tf.memory().numTensors).toBe(before);
    });

    it('does not dispose what a model keeps or was given', () => {
      const mine = tf.ones(shape) as tf.Tensor4D;
      sample(() => mine, options);
      sample((x) => x, { ...options, noise: mine, start: mine });
      expect(mine.isDisposed).toBe(false);
    });
  });

  it('pixels are the nearest of 256 levels', () => {
    expect([...toPixels(tf.tensor4d([-1, 1, 0, 7], [1, 2, 2, 1]))]).toEqual([0, 255, 128, 255]);
  });

  it('names what does not fit', () => {
    expect(() => sampleOneStep(gaussian, { ...options, seeds: [1] })).toThrow('seeds has 1 entries, expected batch 3');
    expect(() => sampleOneStep(gaussian, { ...options, sigmaMax: 0 })).toThrow('sigmaMax is 0');
    expect(() => sampleOneStep(gaussian, { ...options, condition: tf.zeros([2]) })).toThrow('condition has 2 entries');
    expect(() => sampleEuler(gaussian, options)).toThrow('neither steps and levels given');
    expect(() => sampleEuler(gaussian, { ...options, levels: [1, 2, 0] })).toThrow('levels[1] is 2, expected below');
    expect(() => sampleHeun(gaussian, { ...options, steps: 2, churn: { amount: -1 } })).toThrow('churn.amount is -1');
  });

  it('a grid that ends above 0 ends there', () => {
    const noiseLevel: number[] = [];
    const end = sampleEuler(gaussian, {
      ...options,
      levels: [10, 1],
      onStep: (step) => noiseLevel.push(step.noiseLevel),
    });
    expect(noiseLevel).toEqual([1]);
    expectClose(
      end,
      sampleEuler((x, t) => tf.add(tf.mul(x, 0.1), tf.mul(gaussian(x, t), 0.9)), { ...options, levels: [10, 0] }),
      1e-6,
    );
  });
});
