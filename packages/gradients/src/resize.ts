import * as tf from '@tensorflow/tfjs-core';
import { ofInput, type Rules } from './rule';

const runGradient = (kernel: string, dy: tf.Tensor, images: tf.Tensor, attributes: object): tf.Tensor =>
  tf.engine().runKernel(kernel, { images, dy }, attributes as tf.NamedAttrMap);

/** Resizing of NHWC images. */
export const resizeRules: Rules = {
  ResizeBilinear: ofInput<tf.ResizeBilinearAttrs>(
    (dy, x, attributes) => runGradient(tf.ResizeBilinearGrad, dy, x, attributes),
    'images',
  ),
  ResizeNearestNeighbor: ofInput<tf.ResizeNearestNeighborAttrs>(
    (dy, x, attributes) => runGradient(tf.ResizeNearestNeighborGrad, dy, x, attributes),
    'images',
  ),
};
