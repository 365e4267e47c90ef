import { key } from '@cm/random';
import { expectClose, expectNoLeak, onEveryBackend, unit } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import {
  colourise,
  type Denoiser,
  fromStrokes,
  inpaint,
  interpolateNoise,
  keepKnown,
  sampleHeun,
  sampleInterpolation,
  sampleMultistep,
  sampleOneStep,
  superResolve,
} from '../src';
import { counted, gaussian, pathEnd } from './support';

const options = { key: key(2), sigmaMax: 10, middle: [2, 0.5] };
const picture = (shape: [number, number, number, number]) => tf.tensor4d(unit('y', shape), shape);

onEveryBackend(() => {
  describe('inpainting', () => {
    const mask = () => tf.tensor4d([1, 0, 0, 1], [1, 2, 2, 1]);

    it('leaves known pixels as they are and does not look at the others', () => {
      const y = picture([3, 2, 2, 2]);
      const filled = inpaint(pathEnd, { ...options, images: y, mask: mask() });
      expectClose(tf.mul(filled, tf.sub(1, mask())), tf.mul(y, tf.sub(1, mask())), 1e-6);
      const other = tf.where(tf.cast(mask(), 'bool'), tf.fill(y.shape, 7), y) as tf.Tensor4D;
      expectClose(inpaint(pathEnd, { ...options, images: other, mask: mask() }), filled, 1e-6);
    });

    it('starts from the known part and noise, one evaluation a level', () => {
      const y = picture([3, 2, 2, 1]);
      const { calls, model } = counted((x) => x);
      const noise = tf.ones(y.shape) as tf.Tensor4D;
      const filled = inpaint(model, { ...options, middle: [], images: y, mask: mask(), noise });
      expect(calls).toEqual([10]);
      expectClose(tf.mul(filled, mask()), tf.mul(tf.fill(y.shape, 10), mask()), 1e-6);
    });

    it('completes what known pixels determine: data whose pixels are all equal', () => {
      // x_0 = a·1 with a uniform: the exact denoiser at any level is nearly the mean of the pixels.
      const equal: Denoiser = (x) => tf.tile(tf.mean(x, [1, 2], true), [1, 8, 8, 1]) as tf.Tensor4D;
      const y = tf.fill([2, 8, 8, 1], 0.6) as tf.Tensor4D;
      const hole = tf.pad4d(tf.ones([1, 2, 2, 1]) as tf.Tensor4D, [
        [0, 0],
        [3, 3],
        [3, 3],
        [0, 0],
      ]);
      const filled = inpaint(equal, { ...options, middle: [2, 0.5, 0.1, 0.02, 0.004, 0.001], images: y, mask: hole });
      expectClose(filled, y, 0.02);
    });

    it('names a mask that does not fit, and leaves no tensors', async () => {
      const y = picture([3, 2, 2, 1]);
      expect(() => inpaint(pathEnd, { ...options, images: y, mask: tf.ones([1, 3, 2, 1]) })).toThrow(
        'mask has shape [1,3,2,1], expected [3,2,2,1]',
      );
      const given = mask();
      await expectNoLeak(() => tf.dispose(inpaint(pathEnd, { ...options, images: y, mask: given })));
    });
  });

  it('super-resolution keeps the means over squares', () => {
    const small = picture([2, 2, 3, 2]);
    const large = superResolve(pathEnd, { ...options, images: small, factor: 2 });
    expect(large.shape).toEqual([2, 4, 6, 2]);
    expectClose(tf.avgPool(large, 2, 2, 'valid'), small, 1e-5);
    // What is finer than the squares comes from the model.
    expect(tf.max(tf.abs(tf.sub(large, tf.image.resizeNearestNeighbor(small, [4, 6])))).dataSync()[0]).toBeGreaterThan(
      0.1,
    );
    expect(() => superResolve(pathEnd, { ...options, images: small, factor: 1 })).toThrow('factor is 1');
  });

  it('colourisation keeps the weighted sum of channels', () => {
    const grey = picture([2, 3, 3, 1]);
    const colour = colourise(pathEnd, { ...options, images: grey });
    expect(colour.shape).toEqual([2, 3, 3, 3]);
    expectClose(tf.sum(tf.mul(colour, tf.tensor1d([0.2989, 0.587, 0.114])), 3, true), grey, 1e-5);
    expect(() => colourise(pathEnd, { ...options, images: colour })).toThrow('images has 3 channels, expected 1');
  });

  it('the known part is kept under any sampler', () => {
    const y = picture([2, 2, 2, 1]);
    const mask = tf.tensor4d([0, 1, 1, 0], [1, 2, 2, 1]);
    const project = (x: tf.Tensor4D) => tf.mul(x, mask) as tf.Tensor4D;
    const model = keepKnown(gaussian, { project, known: project(y) });
    expectClose(project(sampleHeun(model, { ...options, shape: y.shape, steps: 3 })), project(y), 1e-6);
  });

  it('strokes are noised to σ_max and sampled from there', () => {
    const y = picture([2, 2, 2, 1]);
    const { calls, model } = counted(pathEnd);
    const { middle, key } = options;
    const images = fromStrokes(model, { key, middle: [0.5], images: y, sigmaMax: 2 });
    expectClose(calls, [2, 0.5], 1e-6);
    expectClose(images, sampleMultistep(pathEnd, { key, middle: [0.5], sigmaMax: 2, start: y, shape: y.shape }), 0);
    expect(() => fromStrokes(model, { key, middle, images: y, sigmaMax: 1 })).toThrow('middle[0] is 2');
  });

  describe('interpolation', () => {
    it('goes along the arc between two noises', () => {
      const [a, b] = [tf.tensor4d([1, 0], [1, 1, 2, 1]), tf.tensor4d([0, 1], [1, 1, 2, 1])];
      const half = Math.SQRT1_2;
      expectClose(interpolateNoise(a, b, [0, 0.5, 1]), [1, 0, half, half, 0, 1], 1e-6);
      expectClose(interpolateNoise(a, a, [0, 0.5, 1]), [1, 0, 1, 0, 1, 0], 1e-6);
    });

    it('ends at the samples of both seeds', async () => {
      const shape: [number, number, number, number] = [5, 2, 2, 1];
      const walk = sampleInterpolation(pathEnd, { key: key(2), shape, between: [3, 8] });
      const ends = sampleOneStep(pathEnd, { key: key(2), shape: [2, 2, 2, 1], seeds: [3, 8] });
      expectClose(tf.gather(walk, [0, 4]), ends, 1e-5);
      await expectNoLeak(() =>
        tf.dispose(sampleInterpolation(pathEnd, { key: key(2), shape, between: [3, 8], middle: [1] })),
      );
    });
  });
});
