import { key } from '@cm/random';
import { expectClose, onEveryBackend } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { fromCheckpoint, initEdm2, toCheckpoint } from '../src';
import { magnitude, small, tensor } from './small';

onEveryBackend(() => {
  it('an untrained network has standard-normal weights, gains of 0, and frequencies and phases by 2π', () => {
    const params = initEdm2(small, key(1));
    for (const [name, value] of Object.entries(params)) {
      const size = magnitude(value);
      if (name.endsWith('gain')) expect(size).toBe(0);
      else if (name.endsWith('weight')) expect(Math.abs(size - 1)).toBeLessThan(4 / Math.sqrt(2 * value.size));
    }
    expect(magnitude(params['logvar_fourier.freqs']!) / (2 * Math.PI)).toBeCloseTo(1, 0);
    const phases = params['logvar_fourier.phases']!.dataSync();
    expect(Math.min(...phases)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...phases)).toBeLessThan(2 * Math.PI);
    expect(Math.max(...phases)).toBeGreaterThan(Math.PI);
  });

  it('the same key gives the same parameters, another key others', () => {
    const [a, b, c] = [initEdm2(small, key(1)), initEdm2(small, key(1)), initEdm2(small, key(2))];
    const name = 'unet.out_conv.weight';
    expectClose(b[name]!, a[name]!, 0);
    expect(magnitude(tf.sub(c[name]!, a[name]!))).toBeGreaterThan(0.5);
  });

  it('convolutions lie in checkpoints as [out, in, height, width], in memory as [height, width, in, out]', () => {
    const file = { conv: tensor<tf.Rank.R4>('w', [5, 4, 3, 2]), linear: tensor<tf.Rank.R2>('l', [5, 4]) };
    const memory = fromCheckpoint(file);
    expect(memory.conv!.shape).toEqual([3, 2, 4, 5]);
    const at = (t: tf.Tensor, begin: [number, number, number, number]) =>
      tf.slice(t as tf.Tensor4D, begin, [1, 1, 1, 1]).dataSync()[0];
    expect(at(memory.conv!, [2, 1, 3, 4])).toBe(at(file.conv, [4, 3, 2, 1]));
    expectClose(memory.linear!, file.linear, 0);
    const back = toCheckpoint(memory);
    expectClose(back.conv!, file.conv, 0);
    expect(back.conv!.shape).toEqual([5, 4, 3, 2]);
  });
});
