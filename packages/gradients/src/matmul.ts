import * as tf from '@tensorflow/tfjs-core';
import { type Rules, rule, sumTo } from './rule';

/** Y = op(A)·op(B) with op a transposition or nothing: dA and dB are products of the same kind. */
export const matmulRules: Rules = {
  BatchMatMul: rule<tf.BatchMatMulAttrs>({ inputs: ['a', 'b'] }, ([dy], [a, b], { transposeA, transposeB }) => ({
    a: () =>
      sumTo(transposeA ? tf.matMul(b!, dy!, transposeB, true) : tf.matMul(dy!, b!, false, !transposeB), a!.shape),
    b: () =>
      sumTo(transposeB ? tf.matMul(dy!, a!, true, transposeA) : tf.matMul(a!, dy!, !transposeA, false), b!.shape),
  })),
};
