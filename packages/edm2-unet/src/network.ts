import { dropoutMask, type Key, split } from '@cm/random';
import * as tf from '@tensorflow/tfjs-core';
import { type BlockSpec, blocksOf, type Edm2Config } from './config';
import { modulatedMpSilu, mpCat, mpFourier, mpSilu, mpSum, pixelNorm } from './magnitude-preserving';
import { firstConvolution } from './parameters';
import { downsample, upsample } from './resampling';

/** Dropout of one pass: which masks, and whose rows they are. */
export interface Dropout {
  readonly key: Key;
  readonly rate: number;
  readonly rows: ArrayLike<number>;
}

/**
 * The raw network F of EDM2: input [batch, resolution, resolution, channels], noise condition [batch], one-hot labels
 * [batch, labelDim] where the network has classes; output like the input. `weights` come from `normalizeWeights`.
 */
export function edm2Network(
  config: Edm2Config,
  weights: tf.NamedTensorMap,
  { x, noise, labels, dropout }: { x: tf.Tensor4D; noise: tf.Tensor1D; labels?: tf.Tensor2D; dropout?: Dropout },
): tf.Tensor4D {
  return tf.tidy(() => {
    const embedding = embed(config, weights, noise, labels);
    const convolve = (input: tf.Tensor4D, name: string) =>
      tf.conv2d(input, weights[`${name}.weight`] as tf.Tensor4D, 1, 'same');

    // A channel of ones lets a convolution without bias have one.
    const ones = tf.ones([x.shape[0], x.shape[1], x.shape[2], 1]) as tf.Tensor4D;
    let y = tf.conv2d(tf.concat([x, ones], 3), weights[`${firstConvolution(config)}.weight`] as tf.Tensor4D, 1, 'same');
    const skips = [y];
    for (const spec of blocksOf(config)) {
      if (spec.skip) y = mpCat(y, skips.pop()!, config.concatBalance);
      y = block(config, weights, spec, y, embedding, dropout);
      if (spec.flavor === 'enc') skips.push(y);
    }
    return convolve(y, 'unet.out_conv');
  });
}

/** The embedding of noise level and label that every block gets: [batch, embedding channels]. */
function embed(config: Edm2Config, weights: tf.NamedTensorMap, noise: tf.Tensor1D, labels?: tf.Tensor2D): tf.Tensor2D {
  const features = mpFourier(noise, weights['unet.emb_fourier.freqs']!, weights['unet.emb_fourier.phases']!);
  let embedding = linear(weights, 'unet.emb_noise', features);
  if (labels) {
    const ofLabel = linear(weights, 'unet.emb_label', tf.mul(labels, Math.sqrt(config.labelDim)));
    embedding = mpSum(embedding, ofLabel, config.labelBalance);
  }
  return mpSilu(embedding);
}

const linear = (weights: tf.NamedTensorMap, name: string, x: tf.Tensor2D): tf.Tensor2D =>
  tf.matMul(x, weights[`${name}.weight`] as tf.Tensor2D, false, true);

/** One residual block: resampling, residual branch modulated by the embedding, attention where it has one. */
function block(
  config: Edm2Config,
  weights: tf.NamedTensorMap,
  spec: BlockSpec,
  input: tf.Tensor4D,
  embedding: tf.Tensor2D,
  dropout: Dropout | undefined,
): tf.Tensor4D {
  const { name, flavor } = spec;
  const weight = (layer: string) => weights[`${name}.${layer}.weight`] as tf.Tensor4D | undefined;
  const convolve = (x: tf.Tensor4D, layer: string) => tf.conv2d(x, weight(layer)!, 1, 'same');
  const skip = (x: tf.Tensor4D) => (weight('conv_skip') ? convolve(x, 'conv_skip') : x);

  let x = input;
  if (spec.resample === 'down') x = downsample(x, config.resampleFilter);
  if (spec.resample === 'up') x = upsample(x, config.resampleFilter);
  if (flavor === 'enc') x = pixelNorm(skip(x));

  const scale = tf.add(linear(weights, `${name}.emb_linear`, embedding), 1) as tf.Tensor2D;
  let y = modulatedMpSilu(convolve(mpSilu(x), 'conv_res0'), scale);
  if (dropout && dropout.rate > 0 && spec.resolution <= (config.dropoutMaxResolution ?? spec.resolution)) {
    y = tf.mul(y, dropoutMask(split(dropout.key, name), dropout.rows, y.shape.slice(1), dropout.rate));
  }
  y = convolve(y, 'conv_res1');
  if (flavor === 'dec') x = skip(x);

  if (!spec.attention) return mpSum(x, y, config.resBalance, config.clipAct);
  x = mpSum(x, y, config.resBalance);
  const attended = convolve(attention(convolve(x, 'attn_qkv'), config.channelsPerHead), 'attn_proj');
  return mpSum(x, attended, config.attnBalance, config.clipAct);
}

/** Self-attention over pixels with queries, keys and values of unit magnitude: [batch, h, w, 3·channels] to [batch, h, w, channels]. */
function attention(qkv: tf.Tensor4D, channelsPerHead: number): tf.Tensor4D {
  const [batch, height, width, triple] = qkv.shape;
  const channels = triple / 3;
  const heads = channels / channelsPerHead;
  const pixels = height * width;
  const normalised = pixelNorm(tf.reshape(qkv, [batch, pixels, 3, heads, channelsPerHead]));
  const parts = tf.split(tf.reshape(normalised, [batch, pixels, triple]), 3, 2) as tf.Tensor3D[];
  // With one head nothing has to be moved.
  const byHead = (x: tf.Tensor3D) =>
    heads === 1 ? x : tf.transpose(tf.reshape(x, [batch, pixels, heads, channelsPerHead]), [0, 2, 1, 3]);
  const [q, k, v] = parts.map(byHead) as [tf.Tensor, tf.Tensor, tf.Tensor];
  const scores = tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(channelsPerHead));
  const mixed = tf.matMul(tf.softmax(scores), v);
  const together = heads === 1 ? mixed : tf.transpose(mixed, [0, 2, 1, 3]);
  return tf.reshape(together, [batch, height, width, channels]);
}
