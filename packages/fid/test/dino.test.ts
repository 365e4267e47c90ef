import { expectClose, expectNoLeak, onEveryBackend, relativeError } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type DinoV2Weights,
  dinoV2Extractor,
  dinoV2Features,
  dinoV2ParameterShapes,
  dinoV2Sizes,
  prepareDinoV2,
  resampleBicubic,
} from '../src/index';
import { dinoImages, dinoParameters, reference } from './dino-reference';

const expected = (name: string) => reference.tensors[name]!.data as Float32Array;

onEveryBackend(() => {
  let weights: DinoV2Weights;
  let images: tf.Tensor4D;
  beforeAll(() => {
    const parameters = dinoParameters();
    weights = prepareDinoV2(parameters);
    images = dinoImages();
    tf.dispose(parameters);
  });
  afterAll(() => tf.dispose([weights.tensors, images]));

  describe('DINOv2', () => {
    it('gives PyTorch’s features of images resized in floating point, 1e-4', () => {
      const features = dinoV2Features(weights, images, { resize: 'clean' });
      expect(features.shape).toEqual([2, 128]);
      expect(relativeError(features.dataSync(), expected('features.clean'))).toBeLessThan(1e-4);
      features.dispose();
    });

    it('and of bytes, which do not depend on the images beside', () => {
      tf.tidy(() => {
        const one = dinoV2Extractor(weights)(tf.slice(images, [1, 0, 0, 0], [1, -1, -1, -1]));
        expectClose(one, expected('features.legacy').subarray(128), 1e-4);
      });
    });

    it('has position embeddings interpolated as PyTorch does with the reference’s scale', () => {
      tf.tidy(() => {
        const bias = tf.zeros([128]);
        const parameters = dinoParameters();
        const { tensors } = prepareDinoV2({ ...parameters, 'patch_embed.proj.bias': bias });
        const some = tf.gather(
          tf.reshape(tensors.positions!, [256, 128]),
          Array.from({ length: 16 }, (_, i) => 17 * i),
        );
        // PyTorch computes where to read in float32.
        expectClose(some, expected('positions'), 1e-5);
      });
    });

    it('takes position embeddings of 16 × 16 as they are', () => {
      tf.tidy(() => {
        const bias = tf.zeros([128]);
        const embeddings = tf.randomUniform([1, 257, 128], -1, 1, 'float32', 1);
        const parameters = { ...dinoParameters(), 'patch_embed.proj.bias': bias, pos_embed: embeddings };
        const { tensors } = prepareDinoV2(parameters);
        expectClose(tensors.positions!, tf.slice(embeddings, [0, 1, 0], [1, 256, 128]), 0);
      });
    });

    it('frees what it makes', async () => {
      const parameters = dinoParameters({ width: 64, depth: 1 });
      const small = prepareDinoV2(parameters);
      const one: tf.Tensor4D = tf.zeros([1, 3, 3, 3]);
      await expectNoLeak(() => tf.dispose(dinoV2Features(small, one)));
      await expectNoLeak(() => tf.dispose(prepareDinoV2(parameters).tensors));
      tf.dispose([parameters, small.tensors, one]);
    });

    it('refuses grey images', () => {
      expect(() => dinoV2Features(weights, tf.zeros([1, 8, 8, 1]))).toThrow(
        'images have shape [1,8,8,1], expected [batch, height, width, 3]',
      );
    });
  });

  it('resizing of bytes is Pillow’s, to a level where a half is rounded', () => {
    tf.tidy(() => {
      const levels = tf.round(tf.mul(tf.add(resampleBicubic(images, [31, 17], { bytes: true }), 1), 127.5)).dataSync();
      const pillow = reference.tensors.bytes!.data as Uint8Array;
      const differences = [...pillow].map((level, i) => Math.abs(level - levels[i]!));
      expect(Math.max(...differences)).toBeLessThanOrEqual(1);
      expect(differences.filter((difference) => difference > 0).length).toBeLessThan(pillow.length / 1000);
    });
  });
});

describe('parameters of DINOv2', () => {
  it('are 86 and 304 million in the two published networks', () => {
    const count = (model: 'vitb14' | 'vitl14') =>
      Object.values(dinoV2ParameterShapes(dinoV2Sizes[model])).reduce(
        (sum, shape) => sum + shape.reduce((product, extent) => product * extent, 1),
        0,
      );
    // The published models' counts without their mask token.
    expect(count('vitb14')).toBe(86_580_480 - 768);
    expect(count('vitl14')).toBe(304_368_640 - 1024);
  });

  it('that are absent or of another shape are named', () => {
    expect(() => prepareDinoV2({})).toThrow('parameters lack cls_token, expected it of shape [1,1,768]');
    tf.tidy(() => {
      const parameters = dinoParameters({ width: 64, depth: 1 });
      expect(() => prepareDinoV2({ ...parameters, 'blocks.0.mlp.fc2.weight': tf.zeros([256, 64]) })).toThrow(
        'blocks.0.mlp.fc2.weight has shape [256,64], expected [64,256]',
      );
      const { 'blocks.0.norm1.weight': _, ...none } = parameters;
      expect(() => prepareDinoV2(none)).toThrow('parameters lack blocks.0.norm1.weight');
    });
  });
});
