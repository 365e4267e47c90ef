import { key } from '@cm/random';
import { onEveryBackend } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { dhariwalUNetConfig, fromCheckpoint, initEdm, toCheckpoint } from '../src';
import { magnitude, small } from './small';

onEveryBackend(() => {
  it('a checkpoint that does not fit is refused with every tensor that is at fault', () => {
    const { 'model.enc.8x8_conv.bias': _, ...tensors } = toCheckpoint(small, initEdm(small, key(1)));
    tensors.surplus = tf.scalar(1);
    tensors['model.map_layer0.bias'] = tf.zeros([3]);
    tensors['model.enc.4x4_down.conv0.resample_filter'] = tf.zeros([1, 1, 4, 4]);
    expect(() => fromCheckpoint(small, tensors)).toThrow(
      'fromCheckpoint: tensors do not fit the network: missing model.enc.8x8_conv.bias; unexpected surplus; ' +
        'misshapen model.map_layer0.bias [3], expected [32]; ' +
        'model.enc.4x4_down.conv0.resample_filter [1,1,4,4], expected [1,1,2,2]',
    );
  });

  it('the same key gives the same parameters, another key others', () => {
    const [a, b, c] = [1, 1, 2].map((seed) => initEdm(small, key(seed))['model.map_layer0.weight']!);
    expect(magnitude(tf.sub(b!, a!))).toBe(0);
    expect(magnitude(tf.sub(c!, a!))).toBeGreaterThan(0.01);
  });

  it('an untrained DDPM++ is uniform after Glorot, with last layers of nearly nothing', () => {
    const params = initEdm(small, key(1));
    // Fans 32 and 32.
    expect(magnitude(params['model.map_layer1.weight']!)).toBeCloseTo(Math.sqrt(2 / 64), 1);
    expect(Math.max(...params['model.map_layer1.weight']!.dataSync())).toBeLessThan(Math.sqrt(6 / 64));
    expect(magnitude(params['model.dec.8x8_aux_conv.weight']!)).toBeLessThan(1e-5);
    expect(magnitude(params['model.enc.8x8_conv.bias']!)).toBe(0);
    expect([...params['model.enc.8x8_block0.norm0.weight']!.dataSync()]).toEqual(new Array(8).fill(1));
  });

  it('an untrained ADM is uniform to 1/√(fan in), with last layers of zeros', () => {
    const config = dhariwalUNetConfig({
      resolution: 4,
      modelChannels: 16,
      channelMult: [1],
      numBlocks: 1,
      labelDim: 4,
    });
    const params = initEdm(config, key(1));
    const bound = Math.max(...params['model.enc.4x4_block0.conv0.weight']!.dataSync());
    expect(bound).toBeLessThan(1 / 12);
    expect(bound).toBeGreaterThan(0.98 / 12);
    expect(Math.max(...params['model.enc.4x4_block0.conv0.bias']!.dataSync())).toBeGreaterThan(0.04);
    for (const last of ['model.out_conv', 'model.enc.4x4_block0.conv1']) {
      expect(magnitude(params[`${last}.weight`]!) + magnitude(params[`${last}.bias`]!)).toBe(0);
    }
    expect(magnitude(params['model.map_label.weight']!)).toBeCloseTo(1, 0);
  });
});
