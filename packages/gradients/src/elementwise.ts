import * as tf from '@tensorflow/tfjs-core';
import { sumToShape } from './broadcasting';
import { type Gradient, type GradientTable, gradient } from './table';

type Factor = (dy: tf.Tensor, a: tf.Tensor, b: tf.Tensor) => tf.Tensor;

/** A function of two tensors that broadcast; both factors in terms of the operands. */
const ofTwo = (da: Factor, db: Factor): Gradient =>
  gradient({
    save: ['a', 'b'],
    of: (dy, [a, b]) => ({
      a: () => sumToShape(da(dy, a!, b!), a!.shape),
      b: () => sumToShape(db(dy, a!, b!), b!.shape),
    }),
  });

/** A function of one tensor, its derivative in terms of the input. */
const ofInput = (dx: (dy: tf.Tensor, x: tf.Tensor) => tf.Tensor): Gradient =>
  gradient({ save: ['x'], of: (dy, [x]) => ({ x: () => dx(dy, x!) }) });

/** A function of one tensor, its derivative in terms of the output. */
const ofOutput = (dx: (dy: tf.Tensor, y: tf.Tensor) => tf.Tensor): Gradient =>
  gradient({ saveOutput: true, of: (dy, [y]) => ({ x: () => dx(dy, y!) }) });

/** A function that is constant almost everywhere. */
const flat: Gradient = gradient({ of: (dy) => ({ x: () => tf.zerosLike(dy) }) });

/** dy where the condition holds, else 0. */
const where = (dy: tf.Tensor, condition: tf.Tensor) => tf.mul(dy, tf.cast(condition, 'float32'));

export const elementwise: GradientTable = {
  Add: ofTwo(
    (dy) => dy,
    (dy) => dy,
  ),
  Sub: ofTwo(
    (dy) => dy,
    (dy) => tf.neg(dy),
  ),
  Multiply: ofTwo(
    (dy, _, b) => tf.mul(dy, tf.cast(b, 'float32')),
    (dy, a) => tf.mul(dy, tf.cast(a, 'float32')),
  ),
  RealDiv: ofTwo(
    (dy, _, b) => tf.div(dy, tf.cast(b, 'float32')),
    (dy, a, b) => tf.neg(tf.div(tf.mul(dy, tf.cast(a, 'float32')), tf.square(b))),
  ),
  SquaredDifference: ofTwo(
    (dy, a, b) => tf.mul(dy, tf.mul(tf.sub(a, b), 2)),
    (dy, a, b) => tf.mul(dy, tf.mul(tf.sub(b, a), 2)),
  ),
  Maximum: ofTwo(
    (dy, a, b) => where(dy, tf.greaterEqual(a, b)),
    (dy, a, b) => where(dy, tf.less(a, b)),
  ),
  Minimum: ofTwo(
    (dy, a, b) => where(dy, tf.lessEqual(a, b)),
    (dy, a, b) => where(dy, tf.greater(a, b)),
  ),
  // x^p: p x^(p-1) in x; x^p log x in p, 0 where x is not positive.
  Pow: ofTwo(
    (dy, a, b) => tf.mul(dy, tf.mul(b, tf.pow(a, tf.sub(b, 1)))),
    (dy, a, b) => {
      const positive = tf.greater(a, 0);
      const log = tf.log(tf.where(positive, a, tf.onesLike(a)));
      return tf.mul(dy, tf.mul(tf.pow(a, b), log));
    },
  ),
  Neg: gradient({ of: (dy) => ({ x: () => tf.neg(dy) }) }),
  Square: ofInput((dy, x) => tf.mul(dy, tf.mul(tf.cast(x, 'float32'), 2))),
  Sqrt: ofOutput((dy, y) => tf.div(dy, tf.mul(y, 2))),
  Rsqrt: ofOutput((dy, y) => tf.mul(dy, tf.mul(tf.mul(y, tf.square(y)), -0.5))),
  Reciprocal: ofOutput((dy, y) => tf.neg(tf.mul(dy, tf.square(y)))),
  Exp: ofOutput((dy, y) => tf.mul(dy, y)),
  Expm1: ofOutput((dy, y) => tf.mul(dy, tf.add(y, 1))),
  Log: ofInput((dy, x) => tf.div(dy, x)),
  Log1p: ofInput((dy, x) => tf.div(dy, tf.add(x, 1))),
  Abs: ofInput((dy, x) => tf.mul(dy, tf.sign(x))),
  Sigmoid: ofOutput((dy, y) => tf.mul(dy, tf.mul(y, tf.sub(1, y)))),
  Tanh: ofOutput((dy, y) => tf.mul(dy, tf.sub(1, tf.square(y)))),
  Relu: ofInput((dy, x) => where(dy, tf.greater(x, 0))),
  Elu: ofOutput((dy, y) => tf.mul(dy, tf.where(tf.greater(y, 0), tf.onesLike(y), tf.add(y, 1)))),
  LeakyRelu: gradient<{ alpha: number }>({
    save: ['x'],
    of: (dy, [x], { alpha }) => ({ x: () => tf.where(tf.greater(x!, 0), dy, tf.mul(dy, alpha)) }),
  }),
  Softplus: ofInput((dy, x) => tf.mul(dy, tf.sigmoid(x))),
  Sin: ofInput((dy, x) => tf.mul(dy, tf.cos(tf.cast(x, 'float32')))),
  Cos: ofInput((dy, x) => tf.neg(tf.mul(dy, tf.sin(tf.cast(x, 'float32'))))),
  ClipByValue: gradient<{ clipValueMin: number; clipValueMax: number }>({
    save: ['x'],
    of: (dy, [x], { clipValueMin, clipValueMax }) => ({
      x: () => where(dy, tf.logicalAnd(tf.greaterEqual(x!, clipValueMin), tf.lessEqual(x!, clipValueMax))),
    }),
  }),
  Select: gradient({
    save: ['condition'],
    of: (dy, [condition]) => ({
      condition: () => tf.zeros(condition!.shape),
      t: () => tf.mul(dy, tf.cast(condition!, 'float32')),
      e: () => tf.mul(dy, tf.cast(tf.logicalNot(condition!), 'float32')),
    }),
  }),
  Cast: gradient({ of: (dy) => ({ x: () => tf.clone(dy) }) }),
  Identity: gradient({ of: (dy) => ({ x: () => tf.clone(dy) }) }),
  Step: flat,
  Floor: flat,
  Ceil: flat,
  Round: flat,
  Sign: flat,
  ZerosLike: flat,
  OnesLike: flat,
  AddN: {
    saveAllInputs: true,
    gradFunc: (dy, saved) => Object.fromEntries(saved.map((_, i) => [i, () => tf.clone(dy as tf.Tensor)])),
  },
};
