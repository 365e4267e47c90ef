import * as tf from '@tensorflow/tfjs-core';
import { ofGradient, ofInput, type Rule, type Rules, rule, where } from './rule';

/** Piecewise constant functions: the gradient is zero wherever it is defined. */
const flat: Rule = ofGradient((dy) => tf.zerosLike(dy));
const flatBinary: Rule = rule({ inputs: ['a', 'b'] }, (_, [a, b]) => ({
  a: () => tf.zeros(a!.shape),
  b: () => tf.zeros(b!.shape),
}));
const flatOf = (input: string): Rule => ofInput((_, x) => tf.zeros(x.shape), input);

/** Kernels that choose between values, change their type, or round. */
export const choiceRules: Rules = {
  Select: rule({ inputs: ['condition'] }, ([dy], [condition]) => ({
    condition: () => tf.zeros(condition!.shape),
    t: () => where(condition!, dy!),
    e: () => tf.where(condition!, tf.zerosLike(dy!), dy!),
  })),
  // Only a cast to floating point passes a gradient: one to int32 or bool rounds.
  Cast: ofGradient<tf.CastAttrs>((dy, { dtype }) => (dtype === 'float32' ? tf.clone(dy) : tf.zerosLike(dy))),
  ArgMax: flatOf('x'),
  ArgMin: flatOf('x'),
  Ceil: flat,
  Equal: flatBinary,
  Floor: flat,
  FloorDiv: flatBinary,
  Greater: flatBinary,
  GreaterEqual: flatBinary,
  Less: flatBinary,
  LessEqual: flatBinary,
  NotEqual: flatBinary,
  OneHot: flatOf('indices'),
  OnesLike: flat,
  Round: flat,
  Sign: flat,
  Step: flat,
  ZerosLike: flat,
};
