import { valueAndGrads } from '@cm/gradients';
import { expectClose, expectNoLeak, onEveryBackend } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { ictConstant, l1, l2, type Metric, perceptual, pseudoHuber, squaredL2 } from '../src';
import { tensor } from './gaussian';

const total = (metric: Metric, x: tf.Tensor, y: tf.Tensor4D) =>
  valueAndGrads(({ x: p }) => tf.sum(metric(p as tf.Tensor4D, y)) as tf.Scalar, { x });

/** Definitions in float64, of the differences of one row. */
const definitions: Record<string, [Metric, (d: number[]) => number]> = {
  'pseudo-Huber': [pseudoHuber({ c: 0.3 }), (d) => Math.sqrt(d.reduce((sum, v) => sum + v * v, 0.09)) - 0.3],
  L2: [l2(), (d) => Math.hypot(...d)],
  'squared L2': [squaredL2(), (d) => d.reduce((sum, v) => sum + v * v, 0)],
  L1: [l1(), (d) => d.reduce((sum, v) => sum + Math.abs(v), 0)],
};

onEveryBackend(() => {
  for (const [name, [metric, definition]] of Object.entries(definitions)) {
    it(`${name} and its gradient are those of the definition`, () => {
      const [x, y] = [tensor('x'), tensor('y')];
      const [a, b] = [x, y].map((values) => Array.from(values.dataSync())) as [number[], number[]];
      const of = (values: number[], row: number) =>
        definition(values.slice(4 * row, 4 * row + 4).map((value, i) => value - b[4 * row + i]!));
      const { grads } = total(metric, x, y);
      expectClose(
        metric(x, y),
        [0, 1, 2, 3, 4].map((row) => of(a, row)),
        1e-6,
      );
      const numeric = a.map((_, i) => {
        const moved = (by: number) =>
          of(
            a.map((value, j) => (j === i ? value + by : value)),
            Math.floor(i / 4),
          );
        return (moved(1e-5) - moved(-1e-5)) / 2e-5;
      });
      expectClose(grads.x!, numeric, 1e-5);
    });

    it(`${name} has value and gradient 0 where both agree`, () => {
      const x = tensor('x');
      const { value, grads } = total(metric, x, x);
      expectClose(value, [0], 0);
      expectClose(grads.x!, new Float32Array(20), 0);
    });
  }

  describe('the perceptual metric', () => {
    // Two layers of two and three channels of images [5, 2, 2, 1]; the second halves the resolution.
    const features = (x: tf.Tensor4D) => {
      const small = tf.mean(x, [1, 2], true) as tf.Tensor4D;
      return [tf.concat([x, tf.square(x)], 3), tf.concat([small, tf.sin(small), tf.exp(small)], 3)] as tf.Tensor4D[];
    };
    const weights = [tf.tensor1d([0.5, 2]), tf.tensor1d([1, 3, 0.2])];
    const definition = (a: number[], b: number[]) => {
      const distance = (f: number[], g: number[], w: number[]) =>
        f.reduce((sum, v, c) => sum + w[c]! * (v / Math.hypot(...f) - g[c]! / Math.hypot(...g)) ** 2, 0);
      const mean = (values: number[]) => values.reduce((sum, v) => sum + v, 0) / values.length;
      const wide = (v: number) => [v, Math.sin(v), Math.exp(v)];
      const first = mean(a.map((v, i) => distance([v, v * v], [b[i]!, b[i]! ** 2], [0.5, 2])));
      return first + distance(wide(mean(a)), wide(mean(b)), [1, 3, 0.2]);
    };

    it('and its gradient are those of the definition', () => {
      const [x, y] = [tensor('x'), tensor('y')];
      const [a, b] = [x, y].map((values) => Array.from(values.dataSync())) as [number[], number[]];
      const row = (values: number[], i: number) => values.slice(4 * i, 4 * i + 4);
      const { value, grads } = total(perceptual({ features, weights }), x, y);
      expectClose(value, [[0, 1, 2, 3, 4].reduce((sum, i) => sum + definition(row(a, i), row(b, i)), 0)], 1e-6);
      const numeric = a.map((_, at) => {
        const i = Math.floor(at / 4);
        const moved = (by: number) =>
          definition(
            row(a, i).map((v, d) => (4 * i + d === at ? v + by : v)),
            row(b, i),
          );
        return (moved(1e-5) - moved(-1e-5)) / 2e-5;
      });
      expectClose(grads.x!, numeric, 1e-5);
    });

    it('is 0 where images agree, features that are all 0 included', () => {
      const x = tf.zeros([1, 2, 2, 1]) as tf.Tensor4D;
      const { value, grads } = total(perceptual({ features: (y) => [y] }), x, x);
      expectClose(value, [0], 0);
      expectClose(grads.x!, new Float32Array(4), 0);
    });

    it('leaves no tensors, and wants weights for every layer', async () => {
      const [x, y] = [tensor('x'), tensor('y')];
      await expectNoLeak(() => tf.dispose(perceptual({ features })(x, y)));
      expect(() => perceptual({ features, weights: weights.slice(1) })(x, y)).toThrow(
        'perceptual: weights has 1 entries, expected 2',
      );
    });
  });

  it('iCT’s constant is 0.03 for CIFAR-10 and 0.06 for ImageNet-64', () => {
    expect(ictConstant(3072)).toBeCloseTo(0.03, 3);
    expect(ictConstant(12_288)).toBeCloseTo(0.06, 3);
  });

  it('the pseudo-Huber metric keeps distances far below c', () => {
    const d = tf.fill([1, 2, 2, 1], 1e-5) as tf.Tensor4D;
    // √(4e-10 + 1) − 1 is 0 in float32.
    expectClose(pseudoHuber({ c: 1 })(d, tf.zerosLike(d)), [2e-10], 1e-5);
  });

  it('the pseudo-Huber metric does not need a c, but none below 0', () => {
    expect(() => pseudoHuber({ c: -1 })).toThrow('pseudoHuber: c is -1');
    expect(() => pseudoHuber({ c: Number.NaN })).toThrow('c is NaN');
  });
});
