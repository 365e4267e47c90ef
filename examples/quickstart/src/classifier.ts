import { createLoader, type ImageDataset } from '@cm/datasets';
import { valueAndGrads } from '@cm/gradients';
import { adam } from '@cm/optimizers';
import { type Key, normal, split } from '@cm/random';
import * as tf from '@tensorflow/tfjs-core';

/** Size of the feature vector between whose distributions the Fréchet distance is taken. */
export const featureSize = 64;

/** He-initialised parameters of a classifier of images of 16 × 16 pixels into ten classes, `width` and 2·`width` channels in its two convolutions. */
export function initClassifier(key: Key, { channels = 1, width = 16 } = {}): tf.NamedTensorMap {
  const layers = {
    conv0: [3, 3, channels, width],
    conv1: [3, 3, width, 2 * width],
    hidden: [4 * 4 * 2 * width, featureSize],
    logits: [featureSize, 10],
  };
  const params: tf.NamedTensorMap = {};
  for (const [name, shape] of Object.entries(layers)) {
    const fanIn = shape.slice(0, -1).reduce((product, extent) => product * extent, 1);
    params[`${name}.weight`] = tf.tidy(() => tf.mul(normal(split(key, name), shape), Math.sqrt(2 / fanIn)));
    params[`${name}.bias`] = tf.zeros([shape[shape.length - 1]!]);
  }
  return params;
}

/** Features [batch, 64] of images [batch, 16, 16, channels] in [-1, 1]: the hidden layer before its non-linearity. */
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

/** Options of {@link trainClassifier}. */
export interface ClassifierTraining {
  readonly key: Key;
  readonly epochs: number;
  readonly batchSize: number;
  /** Channels of the first convolution. */
  readonly width?: number;
  readonly onProgress: (step: number, steps: number, loss: number) => void;
}

/** Trains a classifier by the cross-entropy; returns its parameters. */
export async function trainClassifier(
  dataset: ImageDataset,
  { key, epochs, batchSize, width, onProgress }: ClassifierTraining,
): Promise<tf.NamedTensorMap> {
  const [count, , , channels] = dataset.shape;
  const loader = createLoader({ dataset, batchSize, key: split(key, 'classifier loader') });
  const optimizer = adam({ beta1: 0.9, beta2: 0.999 });
  let params = initClassifier(split(key, 'classifier'), { channels, ...(width && { width }) });
  let state = optimizer.init(params);
  const steps = Math.floor((epochs * count) / batchSize);
  for (let step = 0; step < steps; step++) {
    const { images, labels } = loader.batchAt(step);
    const oneHot = tf.tidy(() => tf.oneHot(tf.tensor1d(Array.from(labels!), 'int32'), 10));
    const { value, grads } = valueAndGrads(
      (p) =>
        tf.tidy(() =>
          tf.neg(tf.mean(tf.sum(tf.mul(tf.logSoftmax(classifierLogits(p, images)), oneHot), 1))),
        ) as tf.Scalar,
      params,
    );
    const learningRate = 2e-3 * (1 - step / steps);
    const next = optimizer.update(params, grads, state, { learningRate });
    onProgress(step + 1, steps, value.dataSync()[0]!);
    tf.dispose([params, state.m, state.v, grads, value, images, oneHot]);
    ({ params, state } = next);
    await new Promise(setImmediate);
  }
  tf.dispose([state.m, state.v]);
  return params;
}

/** The share of a data set that a classifier names rightly. */
export function accuracy(params: tf.NamedTensorMap, dataset: ImageDataset, key: Key): number {
  const loader = createLoader({ dataset, batchSize: 500, key });
  let right = 0;
  for (let step = 0; step < dataset.shape[0] / 500; step++) {
    const { images, labels } = loader.batchAt(step);
    const named = tf.tidy(() => tf.argMax(classifierLogits(params, images), 1).dataSync());
    right += named.filter((label, i) => label === labels![i]).length;
    tf.dispose(images);
  }
  return right / dataset.shape[0];
}
