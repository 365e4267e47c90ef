import '@cm/gradients';
import { configureTorch, isInstalled, type Precision } from '@cm/torch';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TorchBackend } from '../src/backend';

// What a GPU runs are compositions of libtorch's kernels. There may be no GPU, but the same compositions run on the CPU when asked to.

const IMAGE = [2, 4, 6, 16];
const GROUPED = { groups: 4, epsilon: 1e-5 };
const optimizer = { beta1: 0.9, beta2: 0.99, factor: 0.01, epsilon: 1e-8, keep: 0.999, betas: [0.99, 0.5] };

/** Kernels by name, each with its inputs' shapes and its attributes. */
const KERNELS: readonly [string, Record<string, number[]>, object?][] = [
  ['MpSilu', { x: IMAGE }],
  ['MpSiluGrad', { x: IMAGE, dy: IMAGE }],
  ['ModulatedMpSilu', { x: IMAGE, scale: [2, 16] }],
  ['ModulatedMpSiluGrad', { x: IMAGE, scale: [2, 16], dy: IMAGE }],
  ['PixelNorm', { x: IMAGE }, { epsilon: 1e-4 }],
  ['PixelNormGrad', { x: IMAGE, dy: IMAGE }, { epsilon: 1e-4 }],
  ['MpSum', { a: IMAGE, b: IMAGE }, { t: 0.3, clip: 1 }],
  ['MpSumGrad', { y: IMAGE, dy: IMAGE }, { t: 0.3, clip: 1 }],
  ['Scale', { x: IMAGE }, { factor: 0.7 }],
  ['LinearCombination', { a: IMAGE, b: IMAGE }, { alpha: 0.7, beta: -0.2 }],
  ['MpCat', { a: IMAGE, b: [2, 4, 6, 32] }, { t: 0.5 }],
  ['MpCatGrad', { dy: [2, 4, 6, 48] }, { t: 0.5, channelsA: 16 }],
  ['Downsample2x', { x: IMAGE }, { factor: 1.3 }],
  ['Upsample2x', { x: IMAGE }, { factor: 1.3 }],
  ['Attention', { qkv: [2, 32, 96] }, { heads: 2 }],
  ['AttentionGrad', { qkv: [2, 32, 96], dy: [2, 32, 32] }, { heads: 2 }],
  ['GroupNorm', { x: IMAGE, gain: [2, 16], bias: [16] }, { ...GROUPED, silu: true }],
  ['GroupNorm', { x: IMAGE, gain: [16], bias: [2, 16] }, { ...GROUPED, silu: false }],
  ['GroupNormGrad', { x: IMAGE, gain: [2, 16], bias: [16], dy: IMAGE }, { ...GROUPED, silu: true }],
  ['GroupNormGrad', { x: IMAGE, gain: [16], bias: [2, 16], dy: IMAGE }, { ...GROUPED, silu: false }],
  ['UnitMagnitude', { w: [3, 3, 8, 12] }, { outputs: 'last', epsilon: 1e-4, scale: 0.5 }],
  ['UnitMagnitude', { w: [12, 20] }, { outputs: 'first', epsilon: 1e-4, scale: 0.5 }],
  ['UnitMagnitudeGrad', { w: [3, 3, 8, 12], dy: [3, 3, 8, 12] }, { outputs: 'last', epsilon: 1e-4, scale: 0.5 }],
  ['UnitMagnitudeGrad', { w: [12, 20], dy: [12, 20] }, { outputs: 'first', epsilon: 1e-4, scale: 0.5 }],
  // Parameters, gradients, both moments and two averages of two tensors; second moments are squares.
  ...[true, false].map((adaptive): [string, Record<string, number[]>, object] => [
    'AdamUpdateAll',
    Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`${i}`, i % 2 ? [5] : [3, 7]])),
    { ...optimizer, adaptive },
  ]),
  ...['Conv2D', 'Conv2DBackpropInput', 'Conv2DBackpropFilter'].flatMap((name) =>
    [1, 3].map((size): [string, Record<string, number[]>, object] => {
      const [x, dy, filter] = [
        [2, 16, 16, 32],
        [2, 16, 16, 48],
        [size, size, 32, 48],
      ];
      const inputs = { Conv2D: { x, filter }, Conv2DBackpropInput: { dy, filter }, Conv2DBackpropFilter: { x, dy } }[
        name
      ]!;
      const attributes = { strides: 1, pad: 'same', dataFormat: 'NHWC', inputShape: x, filterShape: filter };
      return [name, inputs as unknown as Record<string, number[]>, attributes];
    }),
  ),
  ['BatchMatMul', { a: [40, 64], b: [64, 32] }, { transposeA: false, transposeB: false }],
];

/** A chunk of references, numbers 6 to 25, for eight queries: some own samples lie in it, some rows have sums from before, one has none. */
function posterior(prior: number[]): tf.NamedTensorMap {
  const normal = (shape: number[], scale: number, seed: number) => tf.randomNormal(shape, 0, scale, 'float32', seed);
  return {
    queries: normal([8, 34], 1, 1),
    rows: normal([20, 34], 1, 2),
    own: tf.tensor1d([0, 6, 7, 25, 26, 10, -1, 12], 'int32'),
    max: tf.tensor2d([0, 3, -2, 60, -1, 0, Number.NEGATIVE_INFINITY, 1], [8, 1]),
    squares: tf.tensor2d([1, 1, 0.5, 1, 2, 1, 0, 1], [8, 1]),
    sums: normal([8, 34], 1, 3),
    ...(prior.length > 0 && { prior: normal(prior, 1, 4) }),
  };
}

/** What convolutions give is held in bfloat16 where that is the precision: x, by the identity. */
function held(x: tf.Tensor): tf.Tensor {
  const pixels = tf.reshape(x, [1, x.size / 16, 1, 16]) as tf.Tensor4D;
  const identity = tf.reshape(tf.eye(16), [1, 1, 16, 16]) as tf.Tensor4D;
  return tf.reshape(tf.conv2d(pixels, identity, 1, 'same'), x.shape);
}

describe.skipIf(!isInstalled())('the compositions for GPUs (left out where `cm-torch setup` has not been run)', () => {
  const backend = () => tf.backend() as TorchBackend;
  beforeAll(async () => {
    await tf.setBackend('torch');
  });
  afterAll(() => {
    backend().numbers(0, 'compose', false);
    configureTorch({});
  });

  it('give the same weights, sums and references of the stable target', () => {
    configureTorch({ threads: 2 });
    const bytes = tf.tensor2d(
      Uint8Array.from({ length: 5 * 300 }, (_, i) => (i * 37) % 256),
      [5, 300],
      'bool',
    );
    const cases: [string, tf.NamedTensorMap, tf.NamedAttrMap][] = [
      ...[[], [30], [8, 30]].map((prior): [string, tf.NamedTensorMap, tf.NamedAttrMap] => [
        'PosteriorSums',
        posterior(prior),
        { begin: 6 },
      ]),
      ['ReferenceRows', { bytes, shift: tf.linspace(-1, 1, 300) }, {}],
    ];
    for (const [name, inputs, attributes] of cases) {
      const run = (composed: boolean) => {
        backend().numbers(0, 'compose', composed);
        const results = tf.engine().runKernel(name, inputs, attributes);
        return (Array.isArray(results) ? results : [results]) as tf.Tensor[];
      };
      const [own, composed] = [run(false), run(true)];
      expect(own.length).toBe(name === 'PosteriorSums' ? 3 : 1);
      own.forEach((y, i) => {
        const [a, b] = [y.dataSync(), composed[i]!.dataSync()];
        expect(composed[i]!.shape, name).toEqual(y.shape);
        for (let j = 0; j < a.length; j++)
          if (a[j] !== b[j])
            expect(Math.abs(a[j]! - b[j]!), `${name}, result ${i}`).toBeLessThan(2e-5 * Math.max(1, Math.abs(a[j]!)));
      });
    }
  });

  it.each([
    ['float32', 3e-6],
    ['bfloat16', 2e-2],
  ] as [Precision, number][])('give what the CPU’s own loops give, in %s', (precision, tolerance) => {
    configureTorch({ precision, threads: 2 });
    for (const [name, shapes, attributes = {}] of KERNELS) {
      const run = (composed: boolean) => {
        backend().numbers(0, 'compose', composed);
        const inputs = Object.entries(shapes).map(([input, shape], i) => {
          const x = tf.randomNormal(shape, 0, 1, 'float32', i + 1);
          if (name === 'AdamUpdateAll') return [input, i === 6 || i === 7 ? tf.square(x) : x];
          return [input, /^(x|y|a|b|dy|qkv)$/.test(input) && shape.length > 2 && x.size % 16 === 0 ? held(x) : x];
        });
        const results = tf.engine().runKernel(name, Object.fromEntries(inputs), attributes as tf.NamedAttrMap);
        return (Array.isArray(results) ? results : [results]) as tf.Tensor[];
      };
      const [own, composed] = [run(false), run(true)];
      expect(composed.length, name).toBe(own.length);
      own.forEach((y, i) => {
        const other = composed[i]!;
        expect([other.shape, other.dtype], name).toEqual([y.shape, y.dtype]);
        const error = tf.norm(tf.sub(y, other)).dataSync()[0]! / tf.norm(y).dataSync()[0]!;
        expect(error, `${name}, result ${i}`).toBeLessThan(tolerance);
      });
    }
  });
});
