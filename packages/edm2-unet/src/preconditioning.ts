import type { Key } from '@cm/random';
import * as tf from '@tensorflow/tfjs-core';
import type { Dropout } from './block';
import type { Edm2Config } from './config';
import { mpFourier } from './magnitude-preserving';
import { edm2Network } from './network';

/**
 * A denoiser D(x, t) over the EDM2 network.
 *
 * @param x noisy images [batch, resolution, resolution, channels], x_0 + t·ε
 * @param t noise levels [batch], above 0
 * @param labels class indices [batch], int32, for a network with classes
 * @param rows identities of the rows, by which dropout masks are drawn: a subset of a batch, evaluated under its rows'
 *   identities, is dropped as in the whole batch. Default 0, 1, …
 * @returns denoised images, shaped like x
 */
export type Edm2Denoiser = (
  x: tf.Tensor4D,
  t: tf.Tensor1D,
  labels?: tf.Tensor | null,
  rows?: ArrayLike<number>,
) => tf.Tensor4D;

/** Options of {@link edm2Denoiser}. */
export interface DenoiserOptions {
  /** Dropout, for training: masks are drawn from `key`. Default: none. `rate` defaults to the configuration's. */
  readonly dropout?: { readonly key: Key; readonly rate?: number };
}

/**
 * The preconditioned denoiser D(x, t) = c_skip·x + c_out·F(c_in·x, ln(t)/4), with EDM's coefficients (Karras et al. 2022, Table 1):
 * c_skip = σ_d²/(t² + σ_d²), c_out = t·σ_d/√(t² + σ_d²), c_in = 1/√(t² + σ_d²).
 *
 * @param weights from `normalizeWeights`; differentiable
 * @throws Error (the returned function) on images of another shape, a number of noise levels or labels that is not the batch's,
 *   labels for a network without classes, none for one with, or (on backends that compute in main memory) labels out of range
 */
export function edm2Denoiser(
  config: Edm2Config,
  weights: tf.NamedTensorMap,
  options: DenoiserOptions = {},
): Edm2Denoiser {
  const { sigmaData } = config;
  return (x, t, labels, rows) => {
    checkInput(config, x, t, labels);
    return tf.tidy(() => {
      const variance = tf.add(tf.square(t), sigmaData ** 2);
      const overPixels = (values: tf.Tensor) => tf.reshape(values, [-1, 1, 1, 1]);
      const raw = edm2Network(config, weights, {
        x: tf.mul(x, overPixels(tf.rsqrt(variance))),
        noise: tf.div(tf.log(t), 4),
        ...(labels && { labels: oneHot(labels as tf.Tensor1D, config.labelDim) }),
        ...(options.dropout && { dropout: dropoutOf(config, options.dropout, x.shape[0], rows) }),
      });
      const skip = overPixels(tf.div(sigmaData ** 2, variance));
      const out = overPixels(tf.mul(tf.mul(t, sigmaData), tf.rsqrt(variance)));
      return tf.add(tf.mul(x, skip), tf.mul(raw, out)) as tf.Tensor4D;
    });
  };
}

/** Log-variance of the denoising error at noise levels t [batch], as EDM2's uncertainty head predicts it (section 3.2): [batch]. */
export function edm2LogVariance(weights: tf.NamedTensorMap, t: tf.Tensor1D): tf.Tensor1D {
  return tf.tidy(() => {
    const features = mpFourier(
      tf.div(tf.log(t), 4),
      weights['logvar_fourier.freqs']!,
      weights['logvar_fourier.phases']!,
    );
    return tf.reshape(tf.matMul(features, weights['logvar_linear.weight'] as tf.Tensor2D, false, true), [-1]);
  });
}

/** Rows of magnitude 1: √classes where the class is. The WebAssembly backend's kernel writes nothing but whole int32 numbers. */
const oneHot = (labels: tf.Tensor1D, classes: number) =>
  tf.mul(tf.cast(tf.oneHot(labels, classes), 'float32'), Math.sqrt(classes)) as tf.Tensor2D;

function dropoutOf(
  config: Edm2Config,
  { key, rate = config.dropout }: NonNullable<DenoiserOptions['dropout']>,
  batch: number,
  rows: ArrayLike<number> = Array.from({ length: batch }, (_, row) => row),
): Dropout {
  if (rows.length !== batch) throw new Error(`edm2Denoiser: rows has ${rows.length} entries, expected batch ${batch}`);
  return { key, rate, rows };
}

function checkInput(config: Edm2Config, x: tf.Tensor4D, t: tf.Tensor1D, labels?: tf.Tensor | null): void {
  const { resolution, channels, labelDim } = config;
  const batch = x.shape[0];
  if (x.rank !== 4 || x.shape[1] !== resolution || x.shape[2] !== resolution || x.shape[3] !== channels) {
    throw new Error(
      `edm2Denoiser: x has shape [${x.shape}], expected [batch, ${resolution}, ${resolution}, ${channels}]`,
    );
  }
  if (t.rank !== 1 || t.shape[0] !== batch)
    throw new Error(`edm2Denoiser: t has shape [${t.shape}], expected [${batch}]`);
  if (labelDim === 0) {
    if (labels) throw new Error('edm2Denoiser: labels were given, expected none: the network has no classes');
    return;
  }
  if (!labels) throw new Error(`edm2Denoiser: labels are missing, expected class indices [${batch}] below ${labelDim}`);
  if (labels.rank !== 1 || labels.shape[0] !== batch || labels.dtype !== 'int32') {
    throw new Error(`edm2Denoiser: labels are ${labels.dtype} [${labels.shape}], expected int32 [${batch}]`);
  }
  if (!inMainMemory.has(tf.getBackend())) return;
  const outside = labels.dataSync().find((label) => label < 0 || label >= labelDim);
  if (outside !== undefined) throw new Error(`edm2Denoiser: labels have ${outside}, expected 0 to ${labelDim - 1}`);
}

/** Backends on which looking at labels costs little; elsewhere a label out of range counts as no class. */
const inMainMemory = new Set(['cpu', 'wasm', 'torch']);
