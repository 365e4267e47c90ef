import * as tf from '@tensorflow/tfjs-core';
import { passTo, type Rule, type Rules, rule, sumTo, where } from './rule';

/** A rule for a kernel of two broadcast inputs. Each gradient is in its input's own shape. */
function binary(
  toA: (dy: tf.Tensor, a: tf.Tensor, b: tf.Tensor) => tf.Tensor,
  toB: (dy: tf.Tensor, a: tf.Tensor, b: tf.Tensor) => tf.Tensor,
): Rule {
  return rule({ inputs: ['a', 'b'] }, ([dy], [a, b]) => ({
    a: () => toA(dy!, a!, b!),
    b: () => toB(dy!, a!, b!),
  }));
}

const difference = (dy: tf.Tensor, a: tf.Tensor, b: tf.Tensor) => tf.mul(dy, tf.mul(2, tf.sub(a, b)));

/** Sums, products and comparisons of two numbers. Where two are equal, `Maximum` and `Minimum` give the gradient to `a`. */
export const binaryRules: Rules = {
  Add: binary(
    (dy, a) => passTo(dy, a.shape),
    (dy, _, b) => passTo(dy, b.shape),
  ),
  AddN: rule({ allInputs: true }, ([dy], inputs) =>
    Object.fromEntries(inputs.map((_, i) => [i, () => tf.clone(dy!)] as const)),
  ),
  Maximum: binary(
    (dy, a, b) => sumTo(where(tf.greaterEqual(a, b), dy), a.shape),
    (dy, a, b) => sumTo(where(tf.less(a, b), dy), b.shape),
  ),
  Minimum: binary(
    (dy, a, b) => sumTo(where(tf.lessEqual(a, b), dy), a.shape),
    (dy, a, b) => sumTo(where(tf.greater(a, b), dy), b.shape),
  ),
  Multiply: binary(
    (dy, a, b) => sumTo(tf.mul(dy, b), a.shape),
    (dy, a, b) => sumTo(tf.mul(dy, a), b.shape),
  ),
  // d(a^b)/da = b·a^(b-1), also at a = 0 and b = 0, where a^(b-1) is infinite; d(a^b)/db = a^b·log a, taken as 0 where a ≤ 0.
  Pow: binary(
    (dy, a, b) => {
      const slope = tf.mul(b, tf.pow(a, tf.sub(b, 1)));
      return sumTo(tf.mul(dy, where(tf.broadcastTo(tf.notEqual(b, 0), slope.shape), slope)), a.shape);
    },
    (dy, a, b) => {
      const positive = tf.greater(a, 0);
      const logA = tf.log(tf.where(positive, a, tf.onesLike(a)));
      return sumTo(tf.mul(dy, tf.mul(tf.pow(a, b), logA)), b.shape);
    },
  ),
  RealDiv: binary(
    (dy, a, b) => sumTo(tf.div(dy, b), a.shape),
    // b is constant along the axes that are summed, so it is divided by after the sum.
    (dy, a, b) => tf.neg(tf.div(tf.div(sumTo(tf.mul(dy, a), b.shape), b), b)),
  ),
  SquaredDifference: binary(
    (dy, a, b) => sumTo(difference(dy, a, b), a.shape),
    (dy, a, b) => tf.neg(sumTo(difference(dy, a, b), b.shape)),
  ),
  Sub: binary(
    (dy, a) => passTo(dy, a.shape),
    (dy, _, b) => tf.neg(sumTo(dy, b.shape)),
  ),
};
