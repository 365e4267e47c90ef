import { expectClose, expectNoLeak, onEveryBackend, unit } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { kernelsWithGradients } from '../src';
import { type Case, cases } from './cases';

// Kernels that no public operation of tfjs-core runs, or none with a float32 input.
const unreachable = ['ArgMax', 'ArgMin', 'BroadcastTo', 'Conv2DBackpropFilter', 'FloorDiv', 'LogSoftmax', 'OneHot'];

const inputsOf = ({ name, inputs }: Case) =>
  inputs.map((input, i) =>
    Array.isArray(input)
      ? tf.tensor(unit(`${name} ${i}`, input), input)
      : tf.tensor(Float32Array.from(input.values), input.shape),
  );

const probe = (y: tf.Tensor) => unit('probe', y.shape);

/** The derivative of Σ f(x)·probe by central differences, one number of one input at a time, summed in float64. */
function differences({ f }: Case, x: tf.Tensor[], which: number): number[] {
  const step = 1 / 128;
  const values = x[which]!.dataSync();
  const objective = (moved: Float32Array) =>
    tf.tidy(() => {
      const y = f(x.map((input, i) => (i === which ? tf.tensor(moved, input.shape) : input)));
      const weights = probe(y);
      return Array.from(y.dataSync()).reduce((sum, value, i) => sum + value * weights[i]!, 0);
    });
  return Array.from(values, (value, i) => {
    const at = (moved: number) => objective(Float32Array.from(values).fill(moved, i, i + 1));
    return (at(value + step) - at(value - step)) / (2 * step);
  });
}

onEveryBackend(() => {
  describe('a gradient is the limit of differences', () => {
    it.for(cases)('$name', (each) => {
      const x = inputsOf(each);
      const { f } = each;
      const loss = (...xs: tf.Tensor[]) => {
        const y = f(xs);
        return tf.sum(tf.mul(y, tf.tensor(probe(y), y.shape)));
      };
      const gradients = tf.grads(loss)(x);
      x.forEach((input, i) => {
        expect(gradients[i]!.shape).toEqual(input.shape);
        expectClose(gradients[i]!, differences(each, x, i), 2e-3);
      });
    });
  });

  it('leaves nothing behind, whatever the kernel', async () => {
    await expectNoLeak(() =>
      tf.tidy(() => {
        for (const each of cases) tf.grads((...x) => tf.sum(each.f(x)))(inputsOf(each));
      }),
    );
  });
});

describe('on cpu', () => {
  it('is tested for every kernel that has one', async () => {
    await tf.setBackend('cpu');
    const { kernelNames } = await tf.profile(() => {
      for (const each of cases) each.f(inputsOf(each));
    });
    const tested = new Set([...kernelNames, ...unreachable]);
    expect(kernelsWithGradients.filter((name) => !tested.has(name))).toEqual([]);
  });

  it('goes in equal parts to equal extremes', () => {
    expectClose(tf.grad((x) => tf.max(x))(tf.tensor1d([3, 1, 3])), [0.5, 0, 0.5], 0);
  });

  it('is given to the first of two equal numbers', () => {
    const [da, db] = tf.grads((a, b) => tf.maximum(a!, b!))([tf.scalar(1), tf.scalar(1)]);
    expectClose([...da!.dataSync(), ...db!.dataSync()], [1, 0], 0);
  });

  it('stays zero behind a mask, even where the incoming gradient is infinite', () => {
    const dx = tf.grad((x) => tf.clipByValue(tf.sqrt(tf.relu(x)), 1, 2))(tf.tensor1d([0, 2]));
    expect(dx.dataSync()[0]).not.toBe(Number.POSITIVE_INFINITY);
  });

  it('is right a second time: of a convolution, by its adjoints', () => {
    const x = tf.tensor4d(unit('x', [1, 4, 4, 2]), [1, 4, 4, 2]);
    const w = tf.tensor4d(unit('w', [3, 3, 2, 3]), [3, 3, 2, 3]);
    const energy = (v: tf.Tensor) => tf.sum(tf.pow(tf.conv2d(x, v as tf.Tensor4D, 1, 'same'), 3));
    // The directional derivative of |∇energy|² against differences.
    const steepness = (v: tf.Tensor) => tf.sum(tf.square(tf.grad(energy)(v)));
    const direction = tf.tensor(unit('direction', w.shape), w.shape);
    const slope = tf.sum(tf.mul(tf.grad(steepness)(w), direction)).dataSync()[0]!;
    const along = (by: number) => steepness(tf.add(w, tf.mul(direction, by))).dataSync()[0]!;
    expectClose([slope], [(along(1e-2) - along(-1e-2)) / 2e-2], 1e-2);
  });

  it('refuses dilated convolutions, which tfjs has no gradient kernels for', () => {
    const f = (x: tf.Tensor) => tf.conv2d(x as tf.Tensor4D, tf.ones([2, 2, 1, 1]), 1, 'same', 'NHWC', 2);
    expect(() => tf.grad(f)(tf.ones([1, 4, 4, 1]))).toThrow('dilations are 2');
  });
});
