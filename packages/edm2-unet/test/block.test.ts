import { key } from '@cm/random';
import { onEveryBackend } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { blocksOf, edm2Config, initEdm2, mpCat, normalizeWeights } from '../src';
import { block } from '../src/block';
import { magnitude, tensor } from './small';

const config = edm2Config({
  resolution: 16,
  modelChannels: 16,
  channelMult: [1, 2],
  numBlocks: 2,
  attnResolutions: [8],
  channelsPerHead: 16,
});

onEveryBackend(() => {
  it.each([
    ['before training', 0],
    ['with gains learned', 0.5],
  ])('every block keeps the magnitude of activations %s', (_, gain) => {
    const params = initEdm2(config, key(1));
    for (const name of Object.keys(params)) if (name.endsWith('emb_gain')) params[name] = tf.scalar(gain);
    const { weights } = normalizeWeights(config, params);
    const embedding = tensor<tf.Rank.R2>('embedding', [4, 32]) as tf.Tensor2D;
    const magnitudes: number[] = [];
    let y = tensor<tf.Rank.R4>('x', [4, 16, 16, 16]) as tf.Tensor4D;
    const skips = [y];
    for (const spec of blocksOf(config)) {
      if (spec.skip) y = mpCat(y, skips.pop()!, config.concatBalance);
      y = block(config, weights, spec, { input: y, embedding });
      expect(y.shape).toEqual([4, spec.resolution, spec.resolution, spec.channels]);
      if (spec.flavor === 'enc') skips.push(y);
      magnitudes.push(magnitude(y));
    }
    // Upsampled, correlated pixels and the zeros around an image move it a little.
    expect(Math.min(...magnitudes)).toBeGreaterThan(0.75);
    expect(Math.max(...magnitudes)).toBeLessThan(1.25);
  });
});
