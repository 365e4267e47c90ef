import * as tf from '@tensorflow/tfjs-core';
import { define } from './define';

/** Resampling and normalisation of images. */
export const image: tf.KernelConfig[] = [
  ...['ResizeBilinear', 'ResizeNearestNeighbor'].flatMap((name) => [
    define<'images', tf.ResizeBilinearAttrs>(
      name,
      ({ inputs: { images }, attrs: { size, alignCorners, halfPixelCenters }, backend }) =>
        backend.call(name, images, size, alignCorners, halfPixelCenters),
    ),
    define<'images' | 'dy', { alignCorners: boolean }>(
      `${name}Grad`,
      ({ inputs: { images, dy }, attrs: { alignCorners }, backend }) =>
        backend.call(`${name}Grad`, images, dy, alignCorners),
    ),
  ]),
  define<'x' | 'scale' | 'offset' | 'mean' | 'variance', tf.FusedBatchNormAttrs>(
    tf.FusedBatchNorm,
    ({ inputs: { x, mean, variance, scale, offset }, attrs, backend }) =>
      backend.call('FusedBatchNorm', x, mean, variance, scale, offset, attrs.varianceEpsilon),
  ),
];
