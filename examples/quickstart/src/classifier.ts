import { type Key, normal, split } from '@cm/random';
import * as tf from '@tensorflow/tfjs-core';

/** Size of the feature vector between whose distributions the Fréchet distance is taken. */
export const featureSize = 64;

const layers = {
  conv0: [3, 3, 1, 16],
  conv1: [3, 3, 16, 32],
  hidden: [4 * 4 * 32, featureSize],
  logits: [featureSize, 10],
} as const;

/** He-initialised parameters of the classifier. */
export function initClassifier(key: Key): tf.NamedTensorMap {
  const params: tf.NamedTensorMap = {};
  for (const [name, shape] of Object.entries(layers)) {
    const fanIn = shape.slice(0, -1).reduce((product, extent) => product * extent, 1);
    params[`${name}.weight`] = tf.tidy(() => tf.mul(normal(split(key, name), [...shape]), Math.sqrt(2 / fanIn)));
    params[`${name}.bias`] = tf.zeros([shape[shape.length - 1]!]);
  }
  return params;
}

/** Features [batch, 64] of images [batch, 16, 16, 1] in [-1, 1]: the hidden layer before its non-linearity. */
export function classifierFeatures(params: tf.NamedTensorMap, images: tf.Tensor4D): tf.Tensor2D {
  return tf.tidy(() => {
    let x: tf.Tensor4D = images;
    for (const name of ['conv0', 'conv1']) {
      const y = tf.conv2d(x, params[`${name}.weight`] as tf.Tensor4D, 1, 'same');
      x = tf.avgPool(tf.relu(tf.add(y, params[`${name}.bias`]!)) as tf.Tensor4D, 2, 2, 'valid');
    }
    const flat = tf.reshape(x, [x.shape[0], -1]);
    return tf.add(tf.matMul(flat, params['hidden.weight']!), params['hidden.bias']!) as tf.Tensor2D;
  });
}

/** Logits [batch, 10]. */
export function classifierLogits(params: tf.NamedTensorMap, images: tf.Tensor4D): tf.Tensor2D {
  return tf.tidy(() => {
    const hidden = tf.relu(classifierFeatures(params, images));
    return tf.add(tf.matMul(hidden, params['logits.weight'] as tf.Tensor2D), params['logits.bias']!) as tf.Tensor2D;
  });
}
