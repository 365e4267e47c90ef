import { expectClose, unit, useWasm } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';

beforeAll(useWasm);

const tensor = (name: string, shape: number[]) => tf.tensor(unit(name, shape), shape);
const run = (name: string, inputs: tf.NamedTensorMap, attributes: Record<string, number> = {}) =>
  tf.engine().runKernel(name, inputs, attributes) as tf.Tensor | tf.Tensor[];
const one = (...args: Parameters<typeof run>) => run(...args) as tf.Tensor;

// Independent of the kernels: float64 in plain JavaScript.
const silu = (x: number) => x / (1 + Math.exp(-x)) / 0.596;
const siluSlope = (x: number) => {
  const s = 1 / (1 + Math.exp(-x));
  return (s + x * s * (1 - s)) / 0.596;
};
const map = (f: (...values: number[]) => number, ...arrays: Float32Array[]) =>
  Float64Array.from(arrays[0]!, (_, i) => f(...arrays.map((array) => array[i]!)));
const dot = (a: tf.Tensor, b: tf.Tensor) =>
  map((p, q) => p * q, a.dataSync() as Float32Array, b.dataSync() as Float32Array).reduce((s, v) => s + v, 0);

const awkward = [1, 2, 3, 4, 5, 7, 8, 9, 33];

describe('mp_silu', () => {
  it('is right from where it vanishes to where it is linear', () => {
    const x = Float32Array.from([-200, -90, -88, -20, -5, -1, -1e-6, 0, 1e-6, 0.5, 3, 17, 88, 90, 200]);
    expectClose(one('MpSilu', { x: tf.tensor1d(x) }), map(silu, x), 1e-6);
    const small = x.filter((value) => Math.abs(value) <= 20);
    const got = one('MpSilu', { x: tf.tensor1d(small) }).dataSync();
    small.forEach((value, i) => {
      expect(Math.abs(got[i]! - silu(value))).toBeLessThanOrEqual(4e-7 * Math.abs(silu(value)));
    });
  });

  it.each(awkward)('and its gradient, %i values', (n) => {
    const x = unit('x', [n]);
    const dy = unit('dy', [n]);
    expectClose(one('MpSilu', { x: tf.tensor1d(x) }), map(silu, x), 1e-6);
    expectClose(
      one('MpSiluGrad', { x: tf.tensor1d(x), dy: tf.tensor1d(dy) }),
      map((a, b) => siluSlope(a) * b, x, dy),
      1e-6,
    );
  });

  it.each(awkward)('modulated, and its gradients, %i channels', (channels) => {
    const shape = [2, 3, 2, channels];
    const [x, dy, scale] = [tensor('x', shape), tensor('dy', shape), tensor('scale', [2, channels])];
    const product = tf.mul(x, tf.reshape(scale, [2, 1, 1, channels]));
    expectClose(one('ModulatedMpSilu', { x, scale }), map(silu, product.dataSync() as Float32Array), 1e-6);
    const [dx, dscale] = run('ModulatedMpSiluGrad', { x, scale, dy }) as tf.Tensor[];
    const slope = tf.tensor(Float32Array.from(map(siluSlope, product.dataSync() as Float32Array)), shape);
    const g = tf.mul(dy, slope);
    expectClose(dx!, tf.mul(g, tf.reshape(scale, [2, 1, 1, channels])), 1e-6);
    expectClose(dscale!, tf.sum(tf.mul(g, x), [1, 2]), 2e-6);
  });
});

describe('the pixel norm', () => {
  it.each(awkward)('gives %i channels unit magnitude, and has the gradient of that', (channels) => {
    const shape = [2, 2, 3, channels];
    const epsilon = 1e-4;
    const [x, dy] = [tensor('x', shape), tensor('dy', shape)];
    const norm = tf.mul(tf.sqrt(tf.sum(tf.square(x), -1, true)), 1 / Math.sqrt(channels));
    const m = tf.add(norm, epsilon);
    expectClose(one('PixelNorm', { x }, { epsilon }), tf.div(x, m), 1e-6);
    const inner = tf.sum(tf.mul(x, dy), -1, true);
    const expected = tf.sub(tf.div(dy, m), tf.mul(x, tf.div(inner, tf.mul(tf.mul(tf.square(m), norm), channels))));
    // With one channel the two terms all but cancel: compare to their size.
    const error = tf.max(tf.abs(tf.sub(one('PixelNormGrad', { x, dy }, { epsilon }), expected))).dataSync()[0]!;
    expect(error).toBeLessThan(2e-6 * tf.max(tf.abs(tf.div(dy, m))).dataSync()[0]!);
  });

  it('of zero is zero, and so is the pull of its direction', () => {
    const x = tf.zeros([1, 1, 1, 4]);
    expectClose(one('PixelNorm', { x }, { epsilon: 1e-4 }), [0, 0, 0, 0], 0);
    expectClose(one('PixelNormGrad', { x, dy: tf.ones([1, 1, 1, 4]) }, { epsilon: 1e-4 }), [1e4, 1e4, 1e4, 1e4], 1e-6);
  });
});

describe('sums and concatenations', () => {
  it.each(awkward)('of %i channels keep magnitudes', (channels) => {
    const [a, b] = [tensor('a', [2, 3, channels]), tensor('b', [2, 3, channels])];
    const sum = tf.mul(tf.add(tf.mul(a, 0.7), tf.mul(b, 0.3)), 1 / Math.hypot(0.7, 0.3));
    expectClose(one('MpSum', { a, b }, { t: 0.3 }), sum, 1e-6);
    const clip = 0.8;
    const clipped = one('MpSum', { a, b }, { t: 0.3, clip });
    expectClose(clipped, tf.clipByValue(sum, -clip, clip), 1e-6);
    const g = tensor('g', sum.shape);
    const kept = tf.mul(g, tf.cast(tf.less(tf.abs(sum), clip), 'float32'));
    const [dsa, dsb] = run('MpSumGrad', { y: clipped, dy: g }, { t: 0.3, clip }) as [tf.Tensor, tf.Tensor];
    expectClose(dsa, tf.mul(kept, 0.7 / Math.hypot(0.7, 0.3)), 1e-6);
    expectClose(dsb, tf.mul(kept, 0.3 / Math.hypot(0.7, 0.3)), 1e-6);
    expectClose(one('Scale', { x: a }, { factor: -2.5 }), tf.mul(a, -2.5), 0);
    const wide = tensor('wide', [2, 3, 6]);
    const c = Math.sqrt((channels + 6) / (0.6 ** 2 + 0.4 ** 2));
    const factors = [(c / Math.sqrt(channels)) * 0.6, (c / Math.sqrt(6)) * 0.4];
    const cat = one('MpCat', { a, b: wide }, { t: 0.4 });
    expectClose(cat, tf.concat([tf.mul(a, factors[0]!), tf.mul(wide, factors[1]!)], -1), 1e-6);
    const dy = tensor('dy', cat.shape);
    const [da, db] = run('MpCatGrad', { dy }, { t: 0.4, channelsA: channels }) as [tf.Tensor, tf.Tensor];
    const [ea, eb] = tf.split(dy, [channels, 6], -1) as [tf.Tensor, tf.Tensor];
    expectClose(da, tf.mul(ea, factors[0]!), 1e-6);
    expectClose(db, tf.mul(eb, factors[1]!), 1e-6);
  });
});

describe('resampling', () => {
  it.each(awkward)('%i channels: down is the mean of blocks, up repeats, and up is down’s adjoint', (channels) => {
    const x = tensor('x', [2, 4, 6, channels]);
    const down = one('Downsample2x', { x }, { factor: 3 });
    expectClose(down, tf.mul(tf.mean(tf.reshape(x, [2, 2, 2, 3, 2, channels]), [2, 4]), 3), 1e-6);
    const y = tensor('y', [2, 2, 3, channels]);
    const up = one('Upsample2x', { x: y }, { factor: 3 / 4 });
    expectClose(up, tf.mul(tf.image.resizeNearestNeighbor(y as tf.Tensor4D, [4, 6]), 0.75), 0);
    expect(dot(down, y)).toBeCloseTo(dot(x, up), 3);
  });
});

describe('bad inputs', () => {
  it('are refused by name', () => {
    const x = tf.zeros([1, 3, 4, 2]);
    expect(() => run('Downsample2x', { x }, { factor: 1 })).toThrow(/x has shape \[1,3,4,2\]/);
    expect(() => run('ModulatedMpSilu', { x, scale: tf.zeros([1, 3]) })).toThrow(
      /scale has shape \[1,3\], expected \[1,2\]/,
    );
    expect(() => run('MpSum', { a: x, b: tf.zeros([2]) }, { t: 0.5 })).toThrow(/b has shape/);
    expect(() => run('MpSilu', { x: tf.zeros([2], 'int32') })).toThrow(/x is int32, expected float32/);
  });
});
