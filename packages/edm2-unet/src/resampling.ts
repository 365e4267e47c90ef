import * as tf from '@tensorflow/tfjs-core';
import { fused, withGradient } from './fused';

/**
 * Halves height and width with a separable filter of unit sum.
 *
 * @param x [batch, height, width, channels], of even height and width
 * @param filter an even number of taps; their sum does not matter
 * @param pad zeros around the image; by default those that halve it exactly
 */
export function downsample(
  x: tf.Tensor4D,
  filter: readonly number[],
  pad: number = (filter.length - 2) / 2,
): tf.Tensor4D {
  return isBox(filter) && pad === 0 ? boxDown(x, 1) : filtered(x, filter, 'down', pad);
}

/** Doubles height and width with a separable filter of an even number of taps, scaled such that constants stay. */
export function upsample(x: tf.Tensor4D, filter: readonly number[]): tf.Tensor4D {
  return isBox(filter) ? boxUp(x, 1) : filtered(x, filter, 'up', (filter.length - 2) / 2);
}

const isBox = (filter: readonly number[]) => filter.length === 2 && filter[0] === filter[1];

/** factor · mean over 2 × 2 blocks; its adjoint repeats. */
function boxDown(x: tf.Tensor4D, factor: number): tf.Tensor4D {
  return withGradient<tf.Tensor4D>([x], () => {
    const value = fused('Downsample2x', { x }, { factor })?.[0] ?? tf.mul(tf.avgPool(x, 2, 2, 'valid'), factor);
    return { value: value as tf.Tensor4D, gradient: (dy) => [boxUp(dy, factor / 4)] };
  });
}

/** factor · each value repeated over a 2 × 2 block; its adjoint sums. */
function boxUp(x: tf.Tensor4D, factor: number): tf.Tensor4D {
  return withGradient<tf.Tensor4D>([x], () => {
    const [, height, width] = x.shape;
    const value =
      fused('Upsample2x', { x }, { factor })?.[0] ??
      tf.mul(tf.image.resizeNearestNeighbor(x, [2 * height, 2 * width]), factor);
    return { value: value as tf.Tensor4D, gradient: (dy) => [boxDown(dy, 4 * factor)] };
  });
}

/** Any filter: every channel is an image of its own to a convolution, or its transpose, of stride 2. */
function filtered(x: tf.Tensor4D, filter: readonly number[], direction: 'down' | 'up', pad: number): tf.Tensor4D {
  const [batch, height, width, channels] = x.shape;
  const taps = filter.length;
  const sum = filter.reduce((total, tap) => total + tap, 0);
  const scale = direction === 'up' ? 4 : 1;
  const kernel = tf.tensor4d(
    filter.flatMap((a) => filter.map((b) => (scale * a * b) / sum ** 2)),
    [taps, taps, 1, 1],
  );
  const half = (extent: number) => (extent + 2 * pad - taps) / 2 + 1;
  const planes = tf.reshape(tf.transpose(x, [0, 3, 1, 2]), [batch * channels, height, width, 1]) as tf.Tensor4D;
  const [h, w] = direction === 'up' ? [2 * height, 2 * width] : [half(height), half(width)];
  const resampled =
    direction === 'up'
      ? tf.conv2dTranspose(planes, kernel, [batch * channels, h, w, 1], 2, pad, 'floor')
      : tf.conv2d(planes, kernel, 2, pad, 'NHWC', 1, 'floor');
  return tf.transpose(tf.reshape(resampled, [batch, channels, h, w]), [0, 2, 3, 1]) as tf.Tensor4D;
}
