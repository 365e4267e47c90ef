import * as tf from '@tensorflow/tfjs-core';
import { ofGradient, ofInput, ofOutput, type Rules, where } from './rule';

/** dx = dy · f′(x) for functions of one number, written in x or in y = f(x), whichever is cheaper. */
export const unaryRules: Rules = {
  Abs: ofInput((dy, x) => tf.mul(dy, tf.sign(x))),
  Acos: ofInput((dy, x) => tf.neg(tf.mul(dy, tf.rsqrt(tf.sub(1, tf.square(x)))))),
  Asin: ofInput((dy, x) => tf.mul(dy, tf.rsqrt(tf.sub(1, tf.square(x))))),
  Atan: ofInput((dy, x) => tf.div(dy, tf.add(1, tf.square(x)))),
  ClipByValue: ofInput<tf.ClipByValueAttrs>((dy, x, { clipValueMin, clipValueMax }) =>
    where(tf.logicalAnd(tf.greaterEqual(x, clipValueMin), tf.lessEqual(x, clipValueMax)), dy),
  ),
  Cos: ofInput((dy, x) => tf.neg(tf.mul(dy, tf.sin(x)))),
  Cosh: ofInput((dy, x) => tf.mul(dy, tf.sinh(x))),
  // y + 1 = exp(x) below 0 and at least 1 above.
  Elu: ofOutput((dy, y) => tf.mul(dy, tf.minimum(tf.add(y, 1), 1))),
  Erf: ofInput((dy, x) => tf.mul(dy, tf.mul(2 / Math.sqrt(Math.PI), tf.exp(tf.neg(tf.square(x)))))),
  Exp: ofOutput((dy, y) => tf.mul(dy, y)),
  Expm1: ofOutput((dy, y) => tf.mul(dy, tf.add(y, 1))),
  LeakyRelu: ofInput<tf.LeakyReluAttrs>((dy, x, { alpha }) => tf.mul(dy, tf.step(x, alpha))),
  Log: ofInput((dy, x) => tf.div(dy, x)),
  Log1p: ofInput((dy, x) => tf.div(dy, tf.add(x, 1))),
  Neg: ofGradient((dy) => tf.neg(dy)),
  Reciprocal: ofOutput((dy, y) => tf.neg(tf.mul(dy, tf.square(y)))),
  Relu: ofOutput((dy, y) => tf.mul(dy, tf.step(y))),
  Relu6: ofInput((dy, x) => where(tf.logicalAnd(tf.greater(x, 0), tf.less(x, 6)), dy)),
  Rsqrt: ofOutput((dy, y) => tf.mul(dy, tf.mul(-0.5, tf.mul(y, tf.square(y))))),
  Sigmoid: ofOutput((dy, y) => tf.mul(dy, tf.mul(y, tf.sub(1, y)))),
  Sin: ofInput((dy, x) => tf.mul(dy, tf.cos(x))),
  Sinh: ofInput((dy, x) => tf.mul(dy, tf.cosh(x))),
  Softplus: ofInput((dy, x) => tf.mul(dy, tf.sigmoid(x))),
  Sqrt: ofOutput((dy, y) => tf.div(dy, tf.mul(2, y))),
  Square: ofInput((dy, x) => tf.mul(dy, tf.mul(2, x))),
  Tan: ofOutput((dy, y) => tf.mul(dy, tf.add(1, tf.square(y)))),
  Tanh: ofOutput((dy, y) => tf.mul(dy, tf.sub(1, tf.square(y)))),
};
