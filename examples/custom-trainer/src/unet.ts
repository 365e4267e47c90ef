import * as tf from '@tensorflow/tfjs';

const SIGMA_DATA = 0.5;

/** A U-Net of two levels for 8 × 8 pixels, by hand: variables, and a function of noisy images and of a number for each one's noise level. */
export function unet(channels = 8) {
  let seed = 0;
  const weight = (inputs: number, outputs: number, gain = 1) =>
    tf.variable(tf.randomNormal([inputs, outputs], 0, gain / Math.sqrt(inputs), 'float32', ++seed));

  const dense = (inputs: number, outputs: number) => {
    const w = weight(inputs, outputs);
    return (x: tf.Tensor) => tf.matMul(x as tf.Tensor2D, w);
  };

  // A 3 × 3 convolution as one matrix product over the nine shifted images: in plain JavaScript far faster than tf.conv2d.
  const conv = (inputs: number, outputs: number, gain?: number) => {
    const w = weight(9 * inputs, outputs, gain);
    return (x: tf.Tensor) => {
      const [batch, height, width] = x.shape as [number, number, number];
      const padded = tf.pad(x, [
        [0, 0],
        [1, 1],
        [1, 1],
        [0, 0],
      ]);
      const shifted = [0, 1, 2].flatMap((y) =>
        [0, 1, 2].map((z) => tf.slice(padded, [0, y, z, 0], [batch, height, width, inputs])),
      );
      const product = tf.matMul(tf.reshape(tf.concat(shifted, 3), [-1, 9 * inputs]) as tf.Tensor2D, w);
      return tf.reshape(product, [batch, height, width, outputs]);
    };
  };

  const swish = (x: tf.Tensor) => tf.mul(x, tf.sigmoid(x));

  const block = (inputs: number, outputs: number) => {
    const [first, second, shift] = [conv(inputs, outputs), conv(outputs, outputs), dense(4 * channels, outputs)];
    return (x: tf.Tensor, level: tf.Tensor) => {
      const shifted = tf.add(first(x), tf.reshape(shift(level), [-1, 1, 1, outputs]));
      return swish(second(swish(shifted)));
    };
  };

  /** Pairs of rows (axis 1) or columns (axis 2) averaged. */
  const halve = (x: tf.Tensor, axis: 1 | 2) => {
    const shape = [...x.shape];
    shape.splice(axis, 1, shape[axis]! / 2, 2);
    return tf.mean(tf.reshape(x, shape), axis + 1);
  };

  /** Each row (axis 1) or column (axis 2) twice. */
  const double = (x: tf.Tensor, axis: 1 | 2) => {
    const shape = [...x.shape];
    shape[axis]! *= 2;
    return tf.reshape(tf.stack([x, x], axis + 1), shape);
  };

  const embed = dense(2, 4 * channels);
  const fine = block(1, channels);
  const coarse = block(channels, 2 * channels);
  const join = block(3 * channels, channels);
  const last = conv(channels, 1, 0);

  return (x: tf.Tensor, level: tf.Tensor) => {
    const column = tf.reshape(level, [-1, 1]);
    const embedded = swish(embed(tf.concat([column, tf.onesLike(column)], 1)));
    const skip = fine(x, embedded);
    const pooled = halve(halve(skip, 1), 2);
    const deep = coarse(pooled, embedded);
    const enlarged = double(double(deep, 1), 2);
    return last(join(tf.concat([skip, enlarged], 3), embedded));
  };
}

/** The denoised images: the network between inputs and outputs of unit variance (Karras et al., arXiv 2206.00364, Table 1). */
export function denoise(network: ReturnType<typeof unet>, noisy: tf.Tensor, t: tf.Tensor): tf.Tensor {
  const total = tf.sqrt(tf.add(tf.square(t), SIGMA_DATA ** 2));
  const output = network(tf.div(noisy, total), tf.div(tf.log(t), 4));
  const skip = tf.div(SIGMA_DATA ** 2, tf.square(total));
  return tf.add(tf.mul(noisy, skip), tf.mul(output, tf.div(tf.mul(t, SIGMA_DATA), total)));
}

/** (t² + σ_d²)/(t·σ_d)², with which every noise level counts alike. */
export const lossWeight = (t: tf.Tensor) =>
  tf.div(tf.add(tf.square(t), SIGMA_DATA ** 2), tf.square(tf.mul(t, SIGMA_DATA)));
