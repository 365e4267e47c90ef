import { key } from '@cm/random';
import { expectClose, onEveryBackend } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import '@cm/gradients';
import { describe, expect, it } from 'vitest';
import { forceWeightNorm, initEdm2, normalizeWeights } from '../src';
import { magnitude, small, tensor } from './small';

/** Parameters away from their initial values: weights of other lengths, gains that are not 0. */
function scattered(): tf.NamedTensorMap {
  return Object.fromEntries(
    Object.entries(initEdm2(small, key(1))).map(([name, value]) => [
      name,
      tf.add(tf.mul(value, 3), name.endsWith('gain') ? 0.7 : 0),
    ]),
  );
}
const isNormalised = (name: string) => name.endsWith('.weight');

/** gain·w/(√n·(ε + |w|/√n)), queries, keys and values parted. */
function defined(params: tf.NamedTensorMap, name: string): tf.Tensor {
  const w = params[name]!;
  const convolution = w.rank === 4;
  const fanIn = convolution ? w.shape[0]! * w.shape[1]! * w.shape[2]! : w.shape[1]!;
  const norm = tf.sqrt(tf.sum(tf.square(w), convolution ? [0, 1, 2] : 1, true));
  const unit = tf.div(w, tf.mul(tf.add(tf.div(norm, Math.sqrt(fanIn)), 1e-4), Math.sqrt(fanIn)));
  if (name.includes('emb_linear')) return tf.mul(unit, params[name.replace('emb_linear.weight', 'emb_gain')]!);
  if (name === 'unet.out_conv.weight') return tf.mul(unit, params['unet.out_gain']!);
  if (!name.includes('attn_qkv')) return unit;
  const inner = w.shape[3]! / 3;
  const columns = Array.from({ length: 3 * inner }, (_, c) => 3 * (c % inner) + Math.floor(c / inner));
  return tf.gather(unit, tf.tensor1d(columns, 'int32'), 3);
}

onEveryBackend(() => {
  describe('forced weight normalisation', () => {
    it('gives every weight unit magnitude, and leaves gains, frequencies and phases as they are', () => {
      const params = scattered();
      for (const [name, value] of Object.entries(forceWeightNorm(small, params))) {
        if (isNormalised(name)) expect(magnitude(value)).toBeCloseTo(1, 3);
        else expectClose(value, params[name]!, 0);
      }
    });

    it('changes nothing that it is given, and little where it was already done', () => {
      const params = scattered();
      const before = Object.entries(params).map(([name, value]) => [name, value.dataSync().slice()] as const);
      const once = forceWeightNorm(small, params);
      for (const [name, value] of before) expectClose(params[name]!, value, 0);
      const twice = forceWeightNorm(small, once);
      for (const name of Object.keys(twice)) expectClose(twice[name]!, once[name]!, 2e-4);
    });
  });

  describe('prepared weights', () => {
    it('do not depend on the length of the parameters', () => {
      const params = scattered();
      const longer = Object.fromEntries(
        Object.entries(params).map(([name, value]) => [name, isNormalised(name) ? tf.mul(value, 5) : value]),
      );
      const [a, b] = [normalizeWeights(small, params).weights, normalizeWeights(small, longer).weights];
      for (const name of Object.keys(a)) expectClose(b[name]!, a[name]!, 1e-3);
    });

    it('keep the magnitude of what they multiply', () => {
      const { weights } = normalizeWeights(small, scattered());
      const w = weights['unet.emb_noise.weight'] as tf.Tensor2D;
      const y = tf.matMul(tensor<tf.Rank.R2>('x', [512, w.shape[1]]) as tf.Tensor2D, w, false, true);
      expect(Math.abs(magnitude(y) - 1)).toBeLessThan(0.1);
    });

    it('are what the paper defines', () => {
      const params = scattered();
      const { weights } = normalizeWeights(small, params);
      for (const name of Object.keys(weights).filter(isNormalised)) {
        expectClose(weights[name]!, defined(params, name), 1e-5);
      }
    });

    it('have a pull-back that is the gradient of their definition', () => {
      const params = scattered();
      const { weights, pullback } = normalizeWeights(small, params);
      const probes = Object.fromEntries(
        Object.entries(weights).map(([name, { shape }]) => [name, tensor(name, shape as [number])]),
      );
      const pulled = pullback(probes);
      const names = Object.keys(params).filter((name) => isNormalised(name) || name.endsWith('gain'));
      const gradients = tf.grads((...values: tf.Tensor[]) => {
        const given = Object.fromEntries(names.map((name, i) => [name, values[i]!]));
        const terms = names.filter(isNormalised).map((name) => tf.mul(defined(given, name), probes[name]!));
        return tf.addN(terms.map((term) => tf.sum(term)));
      })(names.map((name) => params[name]!));
      for (const [i, name] of names.entries()) expectClose(pulled[name]!, gradients[i]!, 1e-4);
      expect(Object.keys(pulled).sort()).toEqual(Object.keys(params).sort());
      for (const name of ['unet.emb_fourier.freqs', 'logvar_fourier.phases']) expect(magnitude(pulled[name]!)).toBe(0);
    });

    it('have a pull-back that agrees with differences', () => {
      const params = scattered();
      const name = 'unet.dec.4x4_in0.attn_qkv.weight';
      const { weights, pullback } = normalizeWeights(small, params);
      const probes = Object.fromEntries(Object.entries(weights).map(([key, value]) => [key, tf.zerosLike(value)]));
      probes[name] = tensor(name, weights[name]!.shape as [number]);
      const direction = tensor(`${name} direction`, params[name]!.shape as [number]);
      const value = (step: number) => {
        const moved = { ...params, [name]: tf.add(params[name]!, tf.mul(direction, step)) };
        return tf.sum(tf.mul(normalizeWeights(small, moved).weights[name]!, probes[name]!)).dataSync()[0]!;
      };
      const slope = tf.sum(tf.mul(pullback(probes)[name]!, direction)).dataSync()[0]!;
      expect(slope).toBeCloseTo((value(0.02) - value(-0.02)) / 0.04, 2);
    });

    it('are finite for weights that are zero', () => {
      const params = scattered();
      const name = 'unet.out_conv.weight';
      params[name] = tf.zerosLike(params[name]!);
      const { weights, pullback } = normalizeWeights(small, params);
      expect(magnitude(weights[name]!)).toBe(0);
      expect(magnitude(pullback(weights)[name]!)).toBe(0);
    });
  });

  it('parameters that do not fit the network are listed', () => {
    const { 'unet.out_gain': _, ...params } = initEdm2(small, key(1));
    params.surplus = tf.scalar(1);
    params['logvar_linear.weight'] = tf.zeros([2, 128]);
    for (const f of [normalizeWeights, forceWeightNorm]) {
      expect(() => f(small, params)).toThrow(
        /missing unet\.out_gain; unexpected surplus; misshapen logvar_linear\.weight \[2,128\], expected \[1,128\]/,
      );
    }
    const { pullback } = normalizeWeights(small, initEdm2(small, key(1)));
    expect(() => pullback({})).toThrow(/gradients has no unet\.emb_noise\.weight/);
  });
});
