import { valueAndGrads } from '@cm/gradients';
import { expectClose, onEveryBackend } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { l1, l2, type Metric, pseudoHuber, squaredL2 } from '../src';
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
