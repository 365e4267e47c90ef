import * as tf from '@tensorflow/tfjs-core';
import { type Rule, type Rules, rule } from './rule';

type Attributes = tf.ResizeBilinearAttrs | tf.ResizeNearestNeighborAttrs;

/**
 * Resizing NHWC images is a matrix product along each axis, y = R x Cᵀ, so dx = Rᵀ dy C.
 *
 * tfjs has gradient kernels for it, but they leave out `halfPixelCenters`, and the CPU backend's are wrong for images that are not
 * square. R and C come from the forward kernel itself, by resizing an identity matrix: whatever the convention, they are its own.
 */
function resize(kernel: string): Rule {
  return rule<Attributes>({ inputs: ['images'] }, ([dy], [x], attributes) => ({
    images: () => {
      const [batch, height, width, channels] = x!.shape as [number, number, number, number];
      const [newHeight, newWidth] = attributes.size;
      const matrix = (from: number, to: number): tf.Tensor => {
        const images = tf.reshape(tf.eye(from), [1, from, 1, from]);
        const inputs = { images };
        const resized = tf.engine().runKernel(kernel, inputs, { ...attributes, size: [to, 1] }) as tf.Tensor;
        return tf.reshape(resized, [1, to, from]);
      };
      const columns = tf.reshape(dy!, [batch * newHeight, newWidth, channels]);
      const narrowed = tf.matMul(matrix(width, newWidth), columns, true, false);
      const rows = tf.reshape(narrowed, [batch, newHeight, width * channels]);
      return tf.reshape(tf.matMul(matrix(height, newHeight), rows, true, false), x!.shape);
    },
  }));
}

/** Resizing of NHWC images. */
export const resizeRules: Rules = {
  ResizeBilinear: resize(tf.ResizeBilinear),
  ResizeNearestNeighbor: resize(tf.ResizeNearestNeighbor),
};
