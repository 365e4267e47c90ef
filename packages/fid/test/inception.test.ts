import { expectClose, onEveryBackend, relativeError } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  foldInception,
  type InceptionFeature,
  type InceptionWeights,
  inceptionExtractor,
  inceptionFeatureSize,
  inceptionFeatures,
  inceptionParameterShapes,
} from '../src/index';
import { formulaParameters, reference, referenceImages } from './inception-reference';

onEveryBackend((backend) => {
  let weights: InceptionWeights;
  let images: tf.Tensor4D;
  beforeAll(() => {
    const parameters = formulaParameters();
    weights = foldInception(parameters);
    images = referenceImages();
    tf.dispose(parameters);
  });
  afterAll(() => tf.dispose([weights.tensors, images]));

  const expected = (feature: InceptionFeature) => reference.tensors[`features.${feature}`]!.data as Float32Array;

  describe('Inception-v3', () => {
    it('gives the reference’s features after the first pool, and frees what it makes', () => {
      const one = tf.slice(images, [0, 0, 0, 0], [1, -1, -1, -1]);
      const before = tf.memory().numTensors;
      const features = inceptionExtractor(weights, '64')(one);
      expectClose(features, expected('64').subarray(0, 64), 1e-4);
      features.dispose();
      expect(tf.memory().numTensors).toBe(before);
      one.dispose();
    });

    // tfjs's plain JavaScript backend takes minutes for the whole network at 299 × 299.
    it.skipIf(backend === 'cpu')('gives the reference’s features at every depth, 1e-4', () => {
      const names = ['64', '192', '768', '2048', 'logits_unbiased'] as const;
      tf.tidy(() => {
        const found = inceptionFeatures(weights, images, [...names, 'logits', 'spatial']);
        for (const name of names) {
          expect(relativeError(found[name].dataSync(), expected(name)), name).toBeLessThan(1e-4);
        }
        expectClose(
          tf.sub(found.logits, found.logits_unbiased),
          tf.tile(tf.reshape(weights.tensors['fc.bias']!, [1, -1]), [2, 1]),
          1e-5,
        );
        for (const [name, feature] of Object.entries(found)) {
          expect(feature.shape).toEqual([2, inceptionFeatureSize[name as InceptionFeature]]);
        }
      });
    });

    it('refuses grey images', () => {
      expect(() => inceptionFeatures(weights, tf.zeros([1, 8, 8, 1]), ['64'])).toThrow(
        'images have shape [1,8,8,1], expected [batch, height, width, 3]',
      );
    });
  });
});

describe('parameters of Inception-v3', () => {
  it('are those of the reference, by name and shape', () => {
    const listed = JSON.parse(reference.metadata.parameters!) as [string, number[]][];
    expect(Object.entries(inceptionParameterShapes)).toEqual(listed);
  });

  it('that are absent or of another shape are named', () => {
    expect(() => foldInception({})).toThrow(
      'parameters lack Conv2d_1a_3x3.conv.weight, expected it of shape [32,3,3,3]',
    );
    const wrong = { 'Conv2d_1a_3x3.conv.weight': tf.zeros([3, 3, 3, 32]) };
    expect(() => foldInception(wrong)).toThrow('Conv2d_1a_3x3.conv.weight has shape [3,3,3,32], expected [32,3,3,3]');
  });
});
