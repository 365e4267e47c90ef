import { type Dropout, downsample, ofLayer, recomputed, upsample } from '@cm/edm2-unet';
import * as tf from '@tensorflow/tfjs-core';
import { block, epsilonOf } from './block';
import { type EdmConfig, groupsOf } from './config';
import { type Condition, embed } from './embedding';
import { groupNorm } from './group-norm';
import { type LayerSpec, layersOf } from './layers';
import { convolve, silu } from './operations';

/** What the raw network is given. */
export interface NetworkInput extends Condition {
  /** Scaled images [batch, resolution, resolution, channels]. */
  readonly x: tf.Tensor4D;
  readonly dropout?: Dropout;
  /** Whether the backward pass computes every block again, for keeping none of its activations. */
  readonly recompute?: boolean;
}

/**
 * The raw network F: an encoder and a decoder of residual blocks, each decoder block joined by a skip connection, and beside them NCSN++'s
 * pyramids of images.
 *
 * @returns [batch, resolution, resolution, channels], twice the channels for improved DDPM
 */
export function edmNetwork(config: EdmConfig, params: tf.NamedTensorMap, input: NetworkInput): tf.Tensor4D {
  return tf.tidy(() => {
    const { dropout, recompute } = input;
    const filter = config.architecture === 'song' ? config.resampleFilter : [1, 1];
    const embedding = embed(config, params, input);
    const skips: tf.Tensor4D[] = [];
    // The main path, the encoder's pyramid of images, and the image that the decoder makes.
    let y = input.x;
    let pyramid = input.x;
    let image: tf.Tensor4D | undefined;
    for (const layer of layersOf(config)) {
      switch (layer.type) {
        case 'conv':
          y = convolve(params, layer.name, y);
          skips.push(y);
          break;
        case 'block': {
          const run = ({ y, skip, embedding, ...own }: tf.NamedTensorMap) =>
            block(config, own, layer, {
              input: (skip ? tf.concat([y!, skip], 3) : y) as tf.Tensor4D,
              embedding: embedding as tf.Tensor2D,
              ...(dropout && { dropout }),
            });
          const given = { ...ofLayer(params, layer.name), y, embedding, ...(layer.skip && { skip: skips.pop()! }) };
          y = recompute ? recomputed(run, given) : run(given);
          if (layer.part === 'enc') skips.push(y);
          break;
        }
        case 'auxDown':
          pyramid = downsample(pyramid, filter);
          break;
        case 'auxSkip':
          y = tf.add(y, convolve(params, layer.name, pyramid));
          skips[skips.length - 1] = y;
          break;
        case 'auxResidual':
          y = tf.mul(tf.add(y, convolvedDown(params, layer, pyramid, filter)), Math.SQRT1_2);
          pyramid = y;
          skips[skips.length - 1] = y;
          break;
        case 'auxUp':
          image = upsample(image!, filter);
          break;
        case 'out': {
          const made = output(config, params, layer, y);
          image = image ? tf.add(image, made) : made;
          break;
        }
      }
    }
    return image!;
  });
}

/** Normalisation, activation and the convolution that makes an image. */
function output(config: EdmConfig, params: tf.NamedTensorMap, { name, norm, inChannels }: LayerSpec, y: tf.Tensor4D) {
  const [gain, bias] = [params[`${norm}.weight`]!, params[`${norm}.bias`]!];
  const normalised = groupNorm(y, gain, bias, { groups: groupsOf(inChannels), epsilon: epsilonOf(config) });
  return convolve(params, name, silu(normalised));
}

/** A convolution, and then the filter of half the resolution; what the convolution finds beyond the border counts in it. */
function convolvedDown(params: tf.NamedTensorMap, { name }: LayerSpec, x: tf.Tensor4D, filter: readonly number[]) {
  const pad = 1 + (filter.length - 2) / 2;
  const convolved = tf.conv2d(x, params[`${name}.weight`] as tf.Tensor4D, 1, pad, 'NHWC', 1, 'floor');
  return tf.add(downsample(convolved, filter, 0), params[`${name}.bias`]!) as tf.Tensor4D;
}
