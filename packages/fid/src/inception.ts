import * as tf from '@tensorflow/tfjs-core';
import type { FeatureExtractor } from './extract';
import { inceptionFilters, inceptionParameterShapes } from './inception-shapes';

/**
 * What the network gives of an image: means over all places after the first and second max pool (64, 192), after Mixed_6e (768) and at
 * the end (2048: FID's features); the 1,008 logits without the last layer's bias (what the Inception score is of, as in the original
 * script) and with it; and `spatial`, the first 7 channels of Mixed_6d's 1 × 1 branch at 17 × 17 places, 2,023 numbers: sFID's features.
 */
export type InceptionFeature = '64' | '192' | 'spatial' | '768' | '2048' | 'logits_unbiased' | 'logits';

/** Weights of the network ready to use, from {@link foldInception}: the caller frees them (`tf.dispose`). */
export interface InceptionWeights {
  /** `<convolution>.filter` (height, width, inputs, outputs) and `<convolution>.bias`; `fc.weight`, `fc.bias`. */
  readonly tensors: tf.NamedTensorMap;
}

/**
 * Makes each convolution and its batch norm (ε = 0.001) one convolution with a bias:
 *
 *     filter = weight · γ / √(variance + ε),   bias = β − mean · γ / √(variance + ε).
 *
 * @param parameters Named and shaped as {@link inceptionParameterShapes}; others (`num_batches_tracked`) are ignored. They stay the caller's.
 * @throws Error naming a parameter that is absent or of another shape.
 */
export function foldInception(parameters: Readonly<tf.NamedTensorMap>): InceptionWeights {
  for (const [name, shape] of Object.entries(inceptionParameterShapes)) {
    const actual = parameters[name];
    if (!actual) throw new Error(`foldInception: parameters lack ${name}, expected it of shape [${shape}]`);
    if (`${actual.shape}` !== `${shape}`) {
      throw new Error(`foldInception: ${name} has shape [${actual.shape}], expected [${shape}]`);
    }
  }
  const tensors = tf.tidy(() => {
    const folded: tf.NamedTensorMap = {};
    for (const name of Object.keys(inceptionFilters)) {
      const part = (end: string) => parameters[`${name}.${end}`]!;
      const scale = tf.div(part('bn.weight'), tf.sqrt(tf.add(part('bn.running_var'), 1e-3)));
      folded[`${name}.filter`] = tf.mul(tf.transpose(part('conv.weight'), [2, 3, 1, 0]), scale);
      folded[`${name}.bias`] = tf.sub(part('bn.bias'), tf.mul(part('bn.running_mean'), scale));
    }
    for (const name of ['fc.weight', 'fc.bias']) folded[name] = tf.clone(parameters[name]!);
    return folded;
  });
  return { tensors };
}

/** A convolution of the network, batch norm included, and ReLU. */
type Convolve = (name: string, x: tf.Tensor4D, stride?: 1 | 2, padding?: 'same' | 'valid') => tf.Tensor4D;

/** TensorFlow's average leaves the padding out; so does tfjs's. */
const averagePool = (x: tf.Tensor4D) => tf.avgPool(x, 3, 1, 'same');
const maxPool = (x: tf.Tensor4D) => tf.maxPool(x, 3, 2, 'valid');
const beside = (...branches: tf.Tensor4D[]) => tf.concat(branches, 3);

function blockA(conv: Convolve, name: string, x: tf.Tensor4D): tf.Tensor4D {
  const five = conv(`${name}.branch5x5_2`, conv(`${name}.branch5x5_1`, x));
  const three = conv(`${name}.branch3x3dbl_2`, conv(`${name}.branch3x3dbl_1`, x));
  return beside(
    conv(`${name}.branch1x1`, x),
    five,
    conv(`${name}.branch3x3dbl_3`, three),
    conv(`${name}.branch_pool`, averagePool(x)),
  );
}

function blockB(conv: Convolve, name: string, x: tf.Tensor4D): tf.Tensor4D {
  const double = conv(`${name}.branch3x3dbl_2`, conv(`${name}.branch3x3dbl_1`, x));
  return beside(
    conv(`${name}.branch3x3`, x, 2, 'valid'),
    conv(`${name}.branch3x3dbl_3`, double, 2, 'valid'),
    maxPool(x),
  );
}

function blockC(conv: Convolve, name: string, x: tf.Tensor4D): tf.Tensor4D {
  const chain = (branch: string, length: number) => {
    let y = x;
    for (let i = 1; i <= length; i++) y = conv(`${name}.${branch}_${i}`, y);
    return y;
  };
  return beside(
    conv(`${name}.branch1x1`, x),
    chain('branch7x7', 3),
    chain('branch7x7dbl', 5),
    conv(`${name}.branch_pool`, averagePool(x)),
  );
}

function blockD(conv: Convolve, name: string, x: tf.Tensor4D): tf.Tensor4D {
  let seven = conv(`${name}.branch7x7x3_1`, x);
  for (const i of [2, 3]) seven = conv(`${name}.branch7x7x3_${i}`, seven);
  return beside(
    conv(`${name}.branch3x3_2`, conv(`${name}.branch3x3_1`, x), 2, 'valid'),
    conv(`${name}.branch7x7x3_4`, seven, 2, 'valid'),
    maxPool(x),
  );
}

function blockE(conv: Convolve, name: string, x: tf.Tensor4D, pooled: tf.Tensor4D): tf.Tensor4D {
  const three = conv(`${name}.branch3x3_1`, x);
  const double = conv(`${name}.branch3x3dbl_2`, conv(`${name}.branch3x3dbl_1`, x));
  return beside(
    conv(`${name}.branch1x1`, x),
    conv(`${name}.branch3x3_2a`, three),
    conv(`${name}.branch3x3_2b`, three),
    conv(`${name}.branch3x3dbl_3a`, double),
    conv(`${name}.branch3x3dbl_3b`, double),
    conv(`${name}.branch_pool`, pooled),
  );
}

type Layer = (conv: Convolve, x: tf.Tensor4D) => tf.Tensor4D;
type Read = (x: tf.Tensor4D, conv: Convolve, weights: tf.NamedTensorMap) => tf.Tensor2D;

const mean: Read = (x) => tf.mean(x, [1, 2]) as tf.Tensor2D;
const logits: Read = (x, conv, weights) =>
  tf.matMul(mean(x, conv, weights), weights['fc.weight'] as tf.Tensor2D, false, true);

/** The network in order: layers, and the features that are read after them. */
const stages: readonly { layers: readonly Layer[]; features: Partial<Record<InceptionFeature, Read>> }[] = [
  {
    layers: [
      (conv, x) => conv('Conv2d_1a_3x3', x, 2, 'valid'),
      (conv, x) => conv('Conv2d_2a_3x3', x, 1, 'valid'),
      (conv, x) => conv('Conv2d_2b_3x3', x),
      (_, x) => maxPool(x),
    ],
    features: { 64: mean },
  },
  {
    layers: [
      (conv, x) => conv('Conv2d_3b_1x1', x),
      (conv, x) => conv('Conv2d_4a_3x3', x, 1, 'valid'),
      (_, x) => maxPool(x),
    ],
    features: { 192: mean },
  },
  {
    layers: [
      (conv, x) => blockA(conv, 'Mixed_5b', x),
      (conv, x) => blockA(conv, 'Mixed_5c', x),
      (conv, x) => blockA(conv, 'Mixed_5d', x),
      (conv, x) => blockB(conv, 'Mixed_6a', x),
      (conv, x) => blockC(conv, 'Mixed_6b', x),
      (conv, x) => blockC(conv, 'Mixed_6c', x),
    ],
    features: {
      spatial: (x, conv) => {
        const y = conv('Mixed_6d.branch1x1', x);
        return tf.reshape(tf.slice(y, [0, 0, 0, 0], [-1, -1, -1, 7]), [y.shape[0], -1]);
      },
    },
  },
  {
    layers: [(conv, x) => blockC(conv, 'Mixed_6d', x), (conv, x) => blockC(conv, 'Mixed_6e', x)],
    features: { 768: mean },
  },
  {
    layers: [
      (conv, x) => blockD(conv, 'Mixed_7a', x),
      (conv, x) => blockE(conv, 'Mixed_7b', x, averagePool(x)),
      // The published graph has a max pool in this block alone.
      (conv, x) => blockE(conv, 'Mixed_7c', x, tf.maxPool(x, 3, 1, 'same')),
    ],
    features: {
      2048: mean,
      logits_unbiased: logits,
      logits: (x, conv, weights) => tf.add(logits(x, conv, weights), weights['fc.bias']!),
    },
  },
];

/**
 * Features of images by the Inception-v3 network of the FID graph (2015-12-05), one pass for all; layers after the last one asked for
 * are not run. Images are taken to 0 … 255, resized to 299 × 299 as TensorFlow 1 does it (bilinear, pixel i of the result at i · size / 299:
 * corners, not centres, coincide; nothing is smoothed), and scaled to (x − 128) / 128.
 *
 * @param images [batch, height, width, 3] in [−1, 1].
 * @returns [batch, size] for each name; the caller's tensors.
 * @throws RangeError when the images have not three channels.
 * @see Szegedy et al. 2015, _Rethinking the Inception Architecture for Computer Vision_; Heusel et al. 2017 for FID;
 *   Nash et al. 2021, _Generating images with sparse representations_, for `spatial`.
 */
export function inceptionFeatures<F extends InceptionFeature>(
  { tensors }: InceptionWeights,
  images: tf.Tensor4D,
  features: readonly F[],
): Record<F, tf.Tensor2D> {
  if (images.shape[3] !== 3) {
    throw new RangeError(`inceptionFeatures: images have shape [${images.shape}], expected [batch, height, width, 3]`);
  }
  const conv: Convolve = (name, x, stride = 1, padding = 'same') =>
    tf.fused.conv2d({
      x,
      filter: tensors[`${name}.filter`] as tf.Tensor4D,
      strides: stride,
      pad: padding,
      bias: tensors[`${name}.bias`]!,
      activation: 'relu',
    });
  return tf.tidy(() => {
    const found: Partial<Record<InceptionFeature, tf.Tensor2D>> = {};
    const left = new Set<string>(features);
    const bytes = tf.add(tf.mul(images, 127.5), 127.5) as tf.Tensor4D;
    let x = tf.div(tf.sub(tf.image.resizeBilinear(bytes, [299, 299], false, false), 128), 128) as tf.Tensor4D;
    for (const stage of stages) {
      if (left.size === 0) break;
      for (const layer of stage.layers) {
        const next = tf.tidy(() => layer(conv, x));
        x.dispose();
        x = next;
      }
      for (const [name, read] of Object.entries(stage.features) as [InceptionFeature, Read][]) {
        if (left.delete(name)) found[name] = read(x, conv, tensors);
      }
    }
    return found as Record<F, tf.Tensor2D>;
  });
}

/**
 * One of the network's features, or several side by side in the order given, as an extractor for `computeStatistics` and
 * `computeFeatures`. Default: the 2,048 that FID is of.
 */
export function inceptionExtractor(
  weights: InceptionWeights,
  ...features: readonly InceptionFeature[]
): FeatureExtractor {
  const names = features.length > 0 ? features : (['2048'] as const);
  return (images) =>
    tf.tidy(() => {
      const found = inceptionFeatures(weights, images, names);
      return tf.concat(
        names.map((name) => found[name]),
        1,
      );
    });
}

/** How many numbers each feature of the network is. */
export const inceptionFeatureSize: Readonly<Record<InceptionFeature, number>> = {
  64: 64,
  192: 192,
  spatial: 2023,
  768: 768,
  2048: 2048,
  logits_unbiased: 1008,
  logits: 1008,
};
