import { expectClose, expectNoLeak, onEveryBackend, unit } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { registerGradients, valueAndGrads } from '../src';

const tensor = (name: string, shape: number[]) => tf.tensor(unit(name, shape), shape);
const positive = (name: string, shape: number[]) => tf.add(tf.abs(tensor(name, shape)), 0.5);

type Case = [name: string, f: (...x: tf.Tensor[]) => tf.Tensor, inputs: () => tf.Tensor[]];

const cases: Case[] = [
  ['add, broadcast', (a, b) => tf.add(a!, b!), () => [tensor('a', [2, 3, 4]), tensor('b', [3, 1])]],
  ['subtract, broadcast', (a, b) => tf.sub(a!, b!), () => [tensor('a', [3, 4]), tensor('b', [4])]],
  ['multiply, broadcast', (a, b) => tf.mul(a!, b!), () => [tensor('a', [2, 1, 4]), tensor('b', [3, 1])]],
  ['divide, broadcast', (a, b) => tf.div(a!, b!), () => [tensor('a', [2, 3]), positive('b', [3])]],
  ['squared difference', (a, b) => tf.squaredDifference(a!, b!), () => [tensor('a', [2, 3]), tensor('b', [3])]],
  ['maximum', (a, b) => tf.maximum(a!, b!), () => [tensor('a', [5]), tensor('b', [5])]],
  ['minimum', (a, b) => tf.minimum(a!, b!), () => [tensor('a', [5]), tensor('b', [5])]],
  ['power', (a, b) => tf.pow(a!, b!), () => [positive('a', [5]), tensor('b', [5])]],
  ['sum of many', (a, b, c) => tf.addN([a!, b!, c!]), () => ['a', 'b', 'c'].map((n) => tensor(n, [4]))],
  ['negation', (x) => tf.neg(x!), () => [tensor('x', [4])]],
  ['square', (x) => tf.square(x!), () => [tensor('x', [4])]],
  ['square root', (x) => tf.sqrt(x!), () => [positive('x', [4])]],
  ['inverse square root', (x) => tf.rsqrt(x!), () => [positive('x', [4])]],
  ['reciprocal', (x) => tf.reciprocal(x!), () => [positive('x', [4])]],
  ['exponential', (x) => tf.exp(x!), () => [tensor('x', [4])]],
  ['logarithm', (x) => tf.log(x!), () => [positive('x', [4])]],
  ['absolute value', (x) => tf.abs(x!), () => [tensor('x', [6])]],
  ['sigmoid', (x) => tf.sigmoid(x!), () => [tensor('x', [4])]],
  ['tanh', (x) => tf.tanh(x!), () => [tensor('x', [4])]],
  ['relu', (x) => tf.relu(x!), () => [tensor('x', [6])]],
  ['leaky relu', (x) => tf.leakyRelu(x!, 0.3), () => [tensor('x', [6])]],
  ['sine', (x) => tf.sin(x!), () => [tensor('x', [4])]],
  ['cosine', (x) => tf.cos(x!), () => [tensor('x', [4])]],
  ['clip', (x) => tf.clipByValue(x!, -0.6, 0.7), () => [tensor('x', [8])]],
  ['where', (a, b) => tf.where(tf.tensor1d([1, 0, 1], 'bool'), a!, b!), () => [tensor('a', [3]), tensor('b', [3])]],
  ['sum over an axis', (x) => tf.sum(x!, 1), () => [tensor('x', [2, 3, 4])]],
  ['mean over axes', (x) => tf.mean(x!, [0, 2]), () => [tensor('x', [2, 3, 4])]],
  ['maximum over an axis', (x) => tf.max(x!, 1), () => [tensor('x', [3, 4])]],
  ['minimum over an axis', (x) => tf.min(x!, 0), () => [tensor('x', [3, 4])]],
  ['softmax', (x) => tf.softmax(x!), () => [tensor('x', [3, 4])]],
  ['log-softmax', (x) => tf.logSoftmax(x!), () => [tensor('x', [3, 4])]],
  ['cumulative sum', (x) => tf.cumsum(x!, 1), () => [tensor('x', [3, 4])]],
  ['reshape', (x) => tf.reshape(x!, [4, 3]), () => [tensor('x', [3, 4])]],
  ['expand dims', (x) => tf.expandDims(x!, 1), () => [tensor('x', [3, 4])]],
  ['transpose', (x) => tf.transpose(x!, [2, 0, 1]), () => [tensor('x', [2, 3, 4])]],
  ['concatenation', (a, b) => tf.concat([a!, b!], 1), () => [tensor('a', [2, 3]), tensor('b', [2, 1])]],
  ['slice', (x) => tf.slice(x!, [1, 0], [2, 2]), () => [tensor('x', [3, 4])]],
  ['split', (x) => tf.mul(...(tf.split(x!, 2, 1) as [tf.Tensor, tf.Tensor])), () => [tensor('x', [3, 4])]],
  ['stack', (a, b) => tf.stack([a!, b!], 1), () => [tensor('a', [3]), tensor('b', [3])]],
  ['unstack', (x) => tf.mul(...(tf.unstack(x!, 0) as [tf.Tensor, tf.Tensor])), () => [tensor('x', [2, 3])]],
  [
    'pad',
    (x) =>
      tf.pad(x!, [
        [1, 0],
        [0, 2],
      ]),
    () => [tensor('x', [2, 3])],
  ],
  ['tile', (x) => tf.tile(x!, [2, 3]), () => [tensor('x', [2, 3])]],
  ['broadcast', (x) => tf.broadcastTo(x!, [4, 2, 3]), () => [tensor('x', [2, 1])]],
  ['reverse', (x) => tf.reverse(x!, 1), () => [tensor('x', [2, 3])]],
  ['gather with repeats', (x) => tf.gather(x!, tf.tensor1d([2, 0, 2], 'int32'), 1), () => [tensor('x', [2, 3, 2])]],
  [
    'convolution',
    (x, w) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 1, 'same'),
    () => [tensor('x', [2, 4, 5, 2]), tensor('w', [3, 3, 2, 3])],
  ],
  [
    'strided convolution',
    (x, w) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 2, 'valid'),
    () => [tensor('x', [1, 5, 5, 2]), tensor('w', [3, 3, 2, 2])],
  ],
  ['average pooling', (x) => tf.avgPool(x as tf.Tensor4D, 2, 2, 'valid'), () => [tensor('x', [2, 4, 4, 3])]],
  ...[false, true].flatMap((ta) =>
    [false, true].map(
      (tb): Case => [
        `matrix product, transposed ${ta} ${tb}`,
        (a, b) => tf.matMul(a!, b!, ta, tb),
        () => [tensor('a', ta ? [2, 4, 3] : [2, 3, 4]), tensor('b', tb ? [1, 5, 4] : [1, 4, 5])],
      ],
    ),
  ),
];

/** Σ f(x)·probe, and its derivative by central differences, one input value at a time. */
function numericGradient(f: Case[1], inputs: tf.Tensor[], which: number): Float32Array {
  const step = 1e-2;
  const x = inputs[which]!;
  const values = x.dataSync().slice();
  return Float32Array.from(values, (value, i) => {
    const [up, down] = [step, -step].map((shift) =>
      tf.tidy(() => {
        const moved = Float32Array.from(values);
        moved[i] = value + shift;
        const y = f(...inputs.map((input, k) => (k === which ? tf.tensor(moved, x.shape) : input)));
        return tf
          .mul(y, tensor('probe', y.shape))
          .dataSync()
          .reduce((sum, v) => sum + v, 0);
      }),
    );
    return (up! - down!) / (2 * step);
  });
}

onEveryBackend(() => {
  describe('the gradient is the limit of differences', () => {
    it.each(cases)('of %s', (_, f, inputs) => {
      const x = inputs();
      const params = Object.fromEntries(x.map((tensor, i) => [i, tensor]));
      const { grads } = valueAndGrads((p) => {
        const y = f(...x.map((_, i) => p[i]!));
        return tf.sum(tf.mul(y, tensor('probe', y.shape))) as tf.Scalar;
      }, params);
      x.forEach((_, i) => {
        expectClose(grads[i]!, numericGradient(f, x, i), 3e-3);
        expect(grads[i]!.shape).toEqual(x[i]!.shape);
      });
    });
  });

  it('is zero for a parameter that the loss does not reach', () => {
    const { value, grads } = valueAndGrads((p) => tf.sum(p.a!) as tf.Scalar, { a: tf.ones([2]), b: tf.ones([3]) });
    expectClose(value, [2], 0);
    expectClose(grads.b!, [0, 0, 0], 0);
  });

  it('names the kernel that has no gradient, and what to import', () => {
    expect(() => valueAndGrads((p) => tf.sum(tf.prod(p.a!, 0)) as tf.Scalar, { a: tf.ones([2]) })).toThrow(
      /no gradient is registered for kernel 'Prod'.*import '@tensorflow\/tfjs'/,
    );
  });

  it('refuses a loss that is not a scalar', () => {
    expect(() => valueAndGrads((p) => p.a as tf.Scalar, { a: tf.ones([2]) })).toThrow('expected a scalar');
  });

  it('leaves no tensors but its results', async () => {
    const params = { a: tensor('a', [3, 4]), b: tensor('b', [4, 2]) };
    await expectNoLeak(() => {
      const { value, grads } = valueAndGrads((p) => tf.mean(tf.softmax(tf.matMul(p.a!, p.b!))) as tf.Scalar, params);
      tf.dispose([value, grads]);
    });
  });
});

describe('registration', () => {
  it('leaves a gradient that is registered already', () => {
    const own: tf.GradConfig = { kernelName: 'Sigmoid', gradFunc: (dy) => ({ x: () => dy as tf.Tensor }) };
    const before = tf.getGradient('Sigmoid');
    tf.unregisterGradient('Sigmoid');
    tf.registerGradient(own);
    registerGradients();
    expect(tf.getGradient('Sigmoid')).toBe(own);
    tf.unregisterGradient('Sigmoid');
    tf.registerGradient(before);
  });
});
