import * as tf from '@tensorflow/tfjs-core';
import { ofInput, type Rules, rule } from './rule';

/** Pooling over windows, by the backend's own gradient kernels. */
export const poolingRules: Rules = {
  AvgPool: ofInput<tf.AvgPoolAttrs>((dy, x, { filterSize, strides, pad }) =>
    tf.engine().runKernel(tf.AvgPoolGrad, { dy, input: x }, { filterSize, strides, pad } as unknown as tf.NamedAttrMap),
  ),
  MaxPool: rule<tf.MaxPoolAttrs>({ inputs: ['x'], output: true }, ([dy], [x, y], attributes) => ({
    x: () =>
      tf
        .engine()
        .runKernel(tf.MaxPoolGrad, { dy: dy!, input: x!, output: y! }, attributes as unknown as tf.NamedAttrMap),
  })),
};
