import * as tf from '@tensorflow/tfjs-core';
import { ofGradient, ofInput, ofOutput, type Rules, rule, sizeOf } from './rule';

type Axes = number | number[] | null;

/** A reduction's output, or its gradient, with the reduced axes kept as ones. */
function keepingDims(reduced: tf.Tensor, x: tf.Tensor, axis: Axes): tf.Tensor {
  const axes = tf.util.parseAxisParam(axis as number | number[], x.shape);
  return tf.reshape(
    reduced,
    x.shape.map((extent, i) => (axes.includes(i) ? 1 : extent)),
  );
}

/** Extremes: the gradient goes to the elements that attain it, in equal parts. */
function extreme(axesOf: (attributes: never) => Axes) {
  return rule<never>({ inputs: ['x'], output: true }, ([dy], [x, y], attributes) => ({
    x: () => {
      const axis = axesOf(attributes);
      const attained = tf.cast(tf.equal(x!, keepingDims(y!, x!, axis)), 'float32');
      const ties = tf.sum(attained, axis as number | number[], true);
      return tf.mul(attained, tf.div(keepingDims(dy!, x!, axis), ties));
    },
  }));
}

/** Kernels that reduce along axes, or normalise along one. */
export const reductionRules: Rules = {
  Cumsum: ofGradient<tf.CumsumAttrs>((dy, { axis, exclusive, reverse }) => tf.cumsum(dy, axis, exclusive, !reverse)),
  LogSoftmax: ofOutput<tf.LogSoftmaxAttrs>(
    (dy, y, { axis }) => tf.sub(dy, tf.mul(tf.sum(dy, axis, true), tf.exp(y))),
    'logits',
  ),
  Max: extreme(({ reductionIndices }: tf.MaxAttrs) => reductionIndices),
  Mean: ofInput<tf.MeanAttrs>((dy, x, { axis }) =>
    tf.broadcastTo(keepingDims(tf.mul(dy, sizeOf(dy.shape) / sizeOf(x.shape)), x, axis), x.shape),
  ),
  Min: extreme(({ axis }: tf.MinAttrs) => axis),
  // dx = y·(dy - Σ y·dy)
  Softmax: ofOutput<tf.SoftmaxAttrs>((dy, y, { dim }) => {
    const product = tf.mul(y, dy);
    return tf.sub(product, tf.mul(y, tf.sum(product, dim, true)));
  }, 'logits'),
  Sum: ofInput<tf.SumAttrs>((dy, x, { axis }) => tf.broadcastTo(keepingDims(dy, x, axis), x.shape)),
};
