import { key } from '@cm/random';
import { phaseGrid } from '@cm/schedules';
import { expectClose, expectNoLeak, onEveryBackend, unit } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { type Denoiser, guided, sampleHeun, sampleMultistep, sampleOneStep, samplePhased, toPixels } from '../src';

const shape: [number, number, number, number] = [3, 2, 2, 1];
const options = { shape, key: key(1), sigmaMax: 10 };
const wide = (t: tf.Tensor1D) => tf.reshape(t, [-1, 1, 1, 1]);

/** Data x_0 ~ N(0, s²): the exact denoiser, and the exact end of its ODE's path. */
const s = 0.5;
const gaussian: Denoiser = (x, t) => tf.mul(x, tf.div(s * s, tf.add(tf.square(wide(t)), s * s))) as tf.Tensor4D;
const pathEnd: Denoiser = (x, t) => tf.mul(x, tf.mul(s, tf.rsqrt(tf.add(tf.square(wide(t)), s * s)))) as tf.Tensor4D;

const counted = (model: Denoiser) => {
  const calls: number[] = [];
  const counting: Denoiser = (x, t, condition) => {
    calls.push(t.dataSync()[0]!);
    return model(x, t, condition);
  };
  return { calls, model: counting };
};

onEveryBackend(() => {
  describe('consistency sampling', () => {
    it('in one step is D(σ_max·ε, σ_max)', () => {
      const { calls, model } = counted((x) => tf.mul(x, 0.1));
      const images = sampleOneStep(model, options);
      expect(calls).toEqual([10]);
      const deviation = Math.sqrt(
        tf.mean(tf.square(sampleOneStep((x) => x, { ...options, shape: [50, 8, 8, 1] }))).dataSync()[0]!,
      );
      expect(deviation).toBeGreaterThan(9.5);
      expect(deviation).toBeLessThan(10.5);
      expect(images.shape).toEqual(shape);
    });

    it('in several steps adds fresh noise of each middle level', () => {
      const { calls, model } = counted(pathEnd);
      const images = sampleMultistep(model, { ...options, middle: [2, 0.5] });
      expect(calls).toEqual([10, 2, 0.5]);
      const other = sampleMultistep(() => tf.zeros(shape), { ...options, middle: [2] });
      expectClose(other, new Float32Array(12), 0);
      // With an exact model every step's samples are the data's.
      const many = sampleMultistep(pathEnd, { ...options, shape: [200, 4, 4, 1], middle: [2, 0.5] });
      expect(Math.sqrt(tf.mean(tf.square(many)).dataSync()[0]!)).toBeCloseTo(s, 1);
      expect(images.shape).toEqual(shape);
      expect(() => sampleMultistep(model, { ...options, middle: [12] })).toThrow('middle[0] is 12, expected below 10');
    });

    it('in phases goes from edge to edge, inner edges moved by η', () => {
      const phases = phaseGrid([10, 2, 0.5, 0]);
      const { calls, model } = counted(gaussian);
      samplePhased(model, { ...options, phases, eta: 0.9 });
      expectClose(calls, [10, 1.8, 0.45], 1e-6);
      const whole = counted(gaussian);
      samplePhased(whole.model, { ...options, phases, eta: 1 });
      expectClose(whole.calls, [10, 2, 0.5], 1e-6);
      expectClose(
        samplePhased(pathEnd, { ...options, phases: phaseGrid([10, 0]) }),
        sampleOneStep(pathEnd, options),
        1e-6,
      );
      expect(() => samplePhased(model, { ...options, phases, eta: 0 })).toThrow('eta is 0');
    });
  });

  describe('Heun’s sampler', () => {
    it('evaluates twice a step but the last, and once there', () => {
      const { calls, model } = counted(gaussian);
      sampleHeun(model, { ...options, steps: 6 });
      expect(calls).toHaveLength(11);
      calls.length = 0;
      expectClose(sampleHeun(model, { ...options, steps: 1 }), sampleOneStep(gaussian, options), 1e-6);
      expect(calls).toEqual([10]);
    });

    it('converges to the exact path at the second order', () => {
      const exact = sampleOneStep(pathEnd, options);
      const error = (steps: number) =>
        tf.max(tf.abs(tf.sub(sampleHeun(gaussian, { ...options, steps, sigmaMin: 1e-4 }), exact))).dataSync()[0]!;
      const [coarse, fine] = [error(16), error(32)];
      expect(Math.log2(coarse / fine)).toBeGreaterThan(1.6);
      expect(Math.log2(coarse / fine)).toBeLessThan(2.8);
    });
  });

  it('an image depends on its seed, not on the batch it is drawn in', () => {
    for (const draw of [
      (more: object) => sampleMultistep(pathEnd, { ...options, middle: [1], ...more }),
      (more: object) => sampleHeun(gaussian, { ...options, steps: 3, ...more }),
    ]) {
      const three = draw({ seeds: [5, 6, 7] });
      const one = draw({ seeds: [6], shape: [1, 2, 2, 1] });
      expectClose(one, tf.slice(three, 1, 1), 0);
      expect(Array.from(tf.slice(three, 0, 1).dataSync())).not.toEqual(Array.from(one.dataSync()));
    }
  });

  it('reports every step and can be stopped, leaving nothing', async () => {
    const seen: number[] = [];
    tf.dispose(sampleHeun(gaussian, { ...options, steps: 3, onStep: ({ index, count }) => seen.push(index / count) }));
    expect(seen).toEqual([0, 1 / 3, 2 / 3]);
    const before = tf.memory().numTensors;
    const controller = new AbortController();
    const stopping = () =>
      sampleMultistep(gaussian, {
        ...options,
        middle: [1],
        signal: controller.signal,
        onStep: () => controller.abort(new Error('enough')),
      });
    expect(stopping).toThrow('enough');
    expect(tf.memory().numTensors).toBe(before);
    await expectNoLeak(() => {
      tf.dispose([sampleOneStep(gaussian, options), sampleHeun(gaussian, { ...options, steps: 2 })]);
    });
  });

  it('guidance extrapolates from the worse model; strength 1 is off and does not ask it', () => {
    const [good, bad]: Denoiser[] = [(x) => tf.mul(x, 3), (x) => tf.mul(x, 2)];
    const x = tf.tensor4d(unit('x', shape), shape);
    const t = tf.fill([3], 1) as tf.Tensor1D;
    expectClose(guided(good!, bad!, { strength: 1.5 })(x, t), tf.mul(x, 3.5), 1e-6);
    expect(guided(good!, bad!, { strength: 1 })).toBe(good);
    expect(() => guided(good!, bad!, { strength: Number.NaN })).toThrow('strength is NaN');
  });

  it('pixels are the nearest of 256 levels', () => {
    expect([...toPixels(tf.tensor4d([-1, 1, 0, 7], [1, 2, 2, 1]))]).toEqual([0, 255, 128, 255]);
  });

  it('names what does not fit', () => {
    expect(() => sampleOneStep(gaussian, { ...options, seeds: [1] })).toThrow('seeds has 1 entries, expected batch 3');
    expect(() => sampleOneStep(gaussian, { ...options, sigmaMax: 0 })).toThrow('sigmaMax is 0');
    expect(() => sampleOneStep(gaussian, { ...options, condition: tf.zeros([2]) })).toThrow('condition has 2 entries');
  });
});
