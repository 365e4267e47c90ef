import * as tf from '@tensorflow/tfjs-core';
import { silu } from './operations';

/** Options of {@link groupNorm}. */
export interface GroupNormOptions {
  /** A divisor of the channels. */
  readonly groups: number;
  readonly epsilon: number;
  /** Whether x·sigmoid(x) follows. Default false. */
  readonly activation?: boolean;
}

/**
 * Group normalisation: y = gain·(x − μ)/√(σ² + ε) + bias, with mean μ and variance σ² over the pixels and channels of each group; then,
 * where asked, the activation. One kernel where the backend has it.
 *
 * @param x [batch, height, width, channels]
 * @param gain [channels] or, of each image, [batch, channels]
 * @param bias as gain
 */
export function groupNorm(
  x: tf.Tensor4D,
  gain: tf.Tensor,
  bias: tf.Tensor,
  { groups, epsilon, activation = false }: GroupNormOptions,
): tf.Tensor4D {
  if (tf.getKernel('GroupNorm', tf.getBackend())) {
    return fusedGroupNorm(x, gain, bias, { groups, epsilon, silu: activation });
  }
  const y = composition(x, gain, bias, { groups, epsilon });
  return activation ? silu(y) : y;
}

function fusedGroupNorm(
  x: tf.Tensor4D,
  gain: tf.Tensor,
  bias: tf.Tensor,
  attributes: { readonly groups: number; readonly epsilon: number; readonly silu: boolean },
): tf.Tensor4D {
  const operation = tf.customGrad((...args) => {
    const [x, gain, bias, save] = args as unknown as [tf.Tensor4D, tf.Tensor, tf.Tensor, tf.GradSaveFunc];
    save([x, gain, bias]);
    return {
      value: tf.engine().runKernel('GroupNorm', { x, gain, bias }, attributes) as tf.Tensor,
      gradFunc: (dy, saved) => {
        const [x, gain, bias] = saved as [tf.Tensor, tf.Tensor, tf.Tensor];
        const inputs = { x, gain, bias, dy: dy as tf.Tensor };
        const [dx, ...rows] = tf.engine().runKernel('GroupNormGrad', inputs, attributes) as unknown as tf.Tensor[];
        return [dx!, ...rows.map((row) => (gain.rank === 1 ? tf.sum(row, 0) : row))];
      },
    };
  });
  return operation(x, gain, bias) as tf.Tensor4D;
}

/**
 * The normalisation of tfjs operations.
 *
 * Its own gradient: with r = 1/√(σ² + ε), d = x − μ and means m over a group, dx = r·(gain·dy − m(gain·dy) − d·r²·m(gain·dy·d)). All but
 * two passes over the images are on [batch, channels], which the gradients of the parts, one by one, would not be.
 */
function composition(
  x: tf.Tensor4D,
  gain: tf.Tensor,
  bias: tf.Tensor,
  { groups, epsilon }: { readonly groups: number; readonly epsilon: number },
): tf.Tensor4D {
  const [batch, height, width, channels] = x.shape;
  const perGroup = channels / groups;
  const values = height * width * perGroup;
  /** Means over groups, at each of their channels, of sums over pixels [batch, channels]. */
  const groupMean = (sums: tf.Tensor) => {
    const means = tf.mul(tf.sum(tf.reshape(sums, [batch, groups, perGroup]), 2, true), 1 / values);
    return tf.reshape(tf.tile(means, [1, 1, perGroup]), [batch, channels]);
  };
  const sumOverPixels = (images: tf.Tensor) => tf.sum(tf.reshape(images, [batch, height * width, channels]), 1);
  const overPixels = (perChannel: tf.Tensor) => tf.reshape(perChannel, [-1, 1, 1, channels]);
  const shapedAs = (perImage: tf.Tensor, like: tf.Tensor) => (like.rank === 1 ? tf.sum(perImage, 0) : perImage);

  const operation = tf.customGrad((...args) => {
    const [x, gain, bias, save] = args as unknown as [tf.Tensor4D, tf.Tensor, tf.Tensor, tf.GradSaveFunc];
    const mean = groupMean(sumOverPixels(x));
    const centred = tf.sub(x, overPixels(mean));
    const scale = tf.rsqrt(tf.add(groupMean(sumOverPixels(tf.square(centred))), epsilon));
    save([x, mean, scale, gain]);
    return {
      value: tf.add(tf.mul(centred, overPixels(tf.mul(scale, gain))), overPixels(bias)),
      gradFunc: (dy, saved) => {
        const [x, mean, scale, gain] = saved as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
        const centred = tf.sub(x, overPixels(mean));
        const toBias = sumOverPixels(dy as tf.Tensor);
        const toGain = tf.mul(sumOverPixels(tf.mul(dy as tf.Tensor, centred)), scale);
        const constant = tf.mul(scale, groupMean(tf.mul(gain, toBias)));
        const slope = tf.mul(tf.square(scale), groupMean(tf.mul(gain, toGain)));
        const direct = tf.mul(dy as tf.Tensor, overPixels(tf.mul(scale, gain)));
        const pulled = tf.add(tf.mul(centred, overPixels(slope)), overPixels(constant));
        return [tf.sub(direct, pulled), shapedAs(toGain, gain), shapedAs(toBias, bias)];
      },
    };
  });
  return operation(x, gain, bias) as tf.Tensor4D;
}
