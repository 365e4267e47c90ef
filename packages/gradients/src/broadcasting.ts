import * as tf from '@tensorflow/tfjs-core';

/** Sums a gradient over the axes along which an operand of the given shape was broadcast. */
export function sumToShape(gradient: tf.Tensor, shape: readonly number[]): tf.Tensor {
  if (gradient.rank === shape.length && gradient.shape.every((extent, axis) => extent === shape[axis])) return gradient;
  const lead = gradient.rank - shape.length;
  const axes = gradient.shape.flatMap((extent, axis) =>
    axis < lead || (shape[axis - lead] === 1 && extent !== 1) ? [axis] : [],
  );
  return tf.reshape(axes.length > 0 ? tf.sum(gradient, axes) : gradient, [...shape]);
}
