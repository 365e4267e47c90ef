import '@cm/gradients';
import { expectClose, onEveryBackend } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { modulatedMpSilu, mpCat, mpFourier, mpSilu, mpSum, pixelNorm } from '../src';
import { downsample, upsample } from '../src/resampling';
import { magnitude, tensor } from './small';

type T4 = tf.Tensor4D;
const images = (name: string, channels = 6) => tensor<tf.Rank.R4>(name, [2, 4, 6, channels]) as T4;

interface Operation {
  inputs: () => tf.Tensor[];
  run: (...inputs: tf.Tensor[]) => tf.Tensor;
  /** The same by definition, of operations that differentiate themselves. */
  definition: (...inputs: tf.Tensor[]) => tf.Tensor;
}

const silu = (x: tf.Tensor) => tf.div(tf.mul(x, tf.sigmoid(x)), 0.596);
const twoImages = () => [images('a'), images('b')];
const box = (x: tf.Tensor) => {
  const [n, h, w, c] = (x as T4).shape;
  return tf.mean(tf.reshape(x, [n, h / 2, 2, w / 2, 2, c]), [2, 4]);
};
const repeat = (x: tf.Tensor) => {
  const [n, h, w, c] = (x as T4).shape;
  return tf.reshape(tf.tile(tf.reshape(x, [n, h, 1, w, 1, c]), [1, 1, 2, 1, 2, 1]), [n, 2 * h, 2 * w, c]);
};

const operations: Record<string, Operation> = {
  mpSilu: { inputs: () => [images('a')], run: mpSilu, definition: silu },
  modulatedMpSilu: {
    inputs: () => [images('a'), tensor<tf.Rank.R2>('scale', [2, 6])],
    run: (x, scale) => modulatedMpSilu(x as T4, scale as tf.Tensor2D),
    definition: (x, scale) => silu(tf.mul(x!, tf.reshape(scale!, [2, 1, 1, 6]))),
  },
  pixelNorm: {
    inputs: () => [images('a')],
    run: (x) => pixelNorm(x!),
    definition: (x) => tf.div(x!, tf.add(tf.sqrt(tf.mean(tf.square(x!), -1, true)), 1e-4)),
  },
  mpSum: {
    inputs: twoImages,
    run: (a, b) => mpSum(a!, b!, 0.3),
    definition: (a, b) => tf.div(tf.add(tf.mul(a!, 0.7), tf.mul(b!, 0.3)), Math.sqrt(0.58)),
  },
  'mpSum, clipped': {
    inputs: twoImages,
    run: (a, b) => mpSum(a!, b!, 0.3, 0.8),
    definition: (a, b) => tf.clipByValue(tf.div(tf.add(tf.mul(a!, 0.7), tf.mul(b!, 0.3)), Math.sqrt(0.58)), -0.8, 0.8),
  },
  mpCat: {
    inputs: () => [images('a', 5), images('b', 3)],
    run: (a, b) => mpCat(a as T4, b as T4, 0.4),
    definition: (a, b) => {
      const c = Math.sqrt(8 / (0.6 ** 2 + 0.4 ** 2));
      return tf.concat([tf.mul(a!, (c / Math.sqrt(5)) * 0.6), tf.mul(b!, (c / Math.sqrt(3)) * 0.4)], 3);
    },
  },
  downsample: { inputs: () => [images('a')], run: (x) => downsample(x as T4, [1, 1]), definition: box },
  upsample: { inputs: () => [images('a')], run: (x) => upsample(x as T4, [1, 1]), definition: repeat },
};

function check({ inputs, run, definition }: Operation): void {
  const given = inputs();
  const expected = definition(...given);
  expectClose(run(...given), expected, 1e-5);
  const dy = tensor('dy', expected.shape as [number]);
  const mine = tf.grads(run)(given, dy);
  const theirs = tf.grads(definition)(given, dy);
  for (const [i, gradient] of mine.entries()) expectClose(gradient, theirs[i]!, 1e-5);
}

onEveryBackend((backend) => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  describe.each(Object.entries(operations))('%s', (_, operation) => {
    it('agrees with its definition, in value and gradient', () => check(operation));

    it('agrees without fused kernels too', () => {
      withoutFusedKernels(backend, () => check(operation));
    });
  });

  describe('magnitudes', () => {
    const [a, b] = ['a', 'b'].map((name) => () => tensor<tf.Rank.R4>(name, [4, 16, 16, 16]) as T4) as [
      () => T4,
      () => T4,
    ];
    it.each<[string, () => tf.Tensor]>([
      ['pixel norm', () => pixelNorm(tf.mul(a(), 7))],
      ['sum', () => mpSum(a(), b(), 0.3)],
      ['concatenation', () => mpCat(a(), b(), 0.5)],
      [
        'Fourier features',
        () => {
          const [frequencies, phases] = [
            tf.mul(tensor('f', [64]), 2 * Math.PI),
            tf.mul(tensor('p', [64]), 2 * Math.PI),
          ];
          return mpFourier(tensor<tf.Rank.R1>('t', [256]) as tf.Tensor1D, frequencies, phases);
        },
      ],
    ])('stay 1 in %s', (_, f) => {
      expect(Math.abs(magnitude(f()) - 1)).toBeLessThan(0.03);
    });

    it('of normally distributed values stay 1 in silu', () => {
      const n = 1 << 14;
      const quantiles = Array.from({ length: n }, (_, i) => normalQuantile((i + 0.5) / n));
      expect(Math.abs(magnitude(mpSilu(tf.tensor1d(quantiles))) - 1)).toBeLessThan(0.005);
    });
  });

  it('pixel norm has a finite gradient where all channels are zero', () => {
    const gradient = tf.grad((x: tf.Tensor) => tf.sum(pixelNorm(x)))(tf.zeros([2, 3]));
    expect(gradient.dataSync().every(Number.isFinite)).toBe(true);
  });

  describe('resampling with a longer filter', () => {
    const filter = [1, 3, 3, 1];

    it('keeps constants away from the border', () => {
      const ones = tf.ones([1, 8, 8, 2]) as T4;
      const inner = (x: tf.Tensor, size: number) => tf.slice(x as T4, [0, 2, 2, 0], [1, size - 4, size - 4, 2]);
      expectClose(inner(upsample(ones, filter), 16), tf.ones([1, 12, 12, 2]), 1e-6);
      expectClose(tf.slice(downsample(ones, filter), [0, 1, 1, 0], [1, 2, 2, 2]), tf.ones([1, 2, 2, 2]), 1e-6);
    });

    it('has each as the gradient of the other', () => {
      const [large, half] = [images('x'), tensor<tf.Rank.R4>('y', [2, 2, 3, 6]) as T4];
      const ofDown = tf.grad((x: tf.Tensor) => downsample(x as T4, filter))(large, half);
      expectClose(ofDown, tf.div(upsample(half, filter), 4), 1e-5);
      const ofUp = tf.grad((y: tf.Tensor) => upsample(y as T4, filter))(half, large);
      expectClose(ofUp, tf.mul(downsample(large, filter), 4), 1e-5);
    });

    it('has upsampling as four times the adjoint of downsampling', () => {
      const x = images('x');
      const y = tensor<tf.Rank.R4>('y', [2, 2, 3, 6]) as T4;
      const dot = (a: tf.Tensor, b: tf.Tensor) => tf.sum(tf.mul(a, b)).dataSync()[0]!;
      expect(4 * dot(downsample(x, filter), y)).toBeCloseTo(dot(x, upsample(y, filter)), 3);
    });
  });
});

const fusedNames = [
  'MpSilu',
  'MpSiluGrad',
  'ModulatedMpSilu',
  'ModulatedMpSiluGrad',
  'PixelNorm',
  'PixelNormGrad',
].concat(['MpSum', 'MpSumGrad', 'MpCat', 'MpCatGrad', 'Downsample2x', 'Upsample2x']);

function withoutFusedKernels(backend: string, f: () => void): void {
  const kernels = fusedNames.map((name) => tf.getKernel(name, backend)).filter((kernel) => kernel !== undefined);
  // A suite that finds none where there are some of them would test the compositions twice.
  expect(kernels.length).toBe(['wasm', 'torch'].includes(backend) ? fusedNames.length : 0);
  for (const { kernelName, backendName } of kernels) tf.unregisterKernel(kernelName, backendName);
  try {
    f();
  } finally {
    for (const kernel of kernels) tf.registerKernel(kernel);
  }
}

/** Inverse of the normal distribution function, by bisection. */
function normalQuantile(p: number): number {
  let [low, high] = [-6, 6];
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2;
    if (normalCdf(middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Φ(x), by its Taylor series. */
function normalCdf(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; n < 200; n++) {
    term *= x ** 2 / (2 * n + 1);
    sum += term;
  }
  return 0.5 + (sum * Math.exp(-(x ** 2) / 2)) / Math.sqrt(2 * Math.PI);
}
