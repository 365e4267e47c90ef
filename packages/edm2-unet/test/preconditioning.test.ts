import { valueAndGrads } from '@cm/gradients';
import { key } from '@cm/random';
import { expectClose, expectNoLeak, onEveryBackend } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { edm2Config, edm2Denoiser, edm2LogVariance, forceWeightNorm, initEdm2, normalizeWeights } from '../src';
import { speedUpCpuFilterGradient } from './cpu-filter-gradient';
import { magnitude, small, tensor } from './small';

const levels = [0.1, 0.5, 2, 10];
const batch = () => ({ x: tensor<tf.Rank.R4>('x', [4, 8, 8, 1]) as tf.Tensor4D, t: tf.tensor1d(levels) });

/** Prepared weights of a network whose output is switched on. */
function trained(config = small, seed = 1) {
  const params = initEdm2(config, key(seed));
  params['unet.out_gain'] = tf.scalar(1);
  return normalizeWeights(config, params).weights;
}

onEveryBackend(() => {
  beforeAll(speedUpCpuFilterGradient);

  describe('preconditioning', () => {
    it('of an untrained network, whose output gain is 0, gives c_skip·x', () => {
      const { x, t } = batch();
      const { weights } = normalizeWeights(small, initEdm2(small, key(1)));
      const skips = levels.map((level) => 0.25 / (level ** 2 + 0.25));
      expectClose(edm2Denoiser(small, weights)(x, t), tf.mul(x, tf.tensor4d(skips, [4, 1, 1, 1])), 1e-6);
    });

    it('returns nearly its input at small noise levels', () => {
      const { x } = batch();
      expectClose(edm2Denoiser(small, trained())(x, tf.fill([4], 1e-4)), x, 1e-3);
    });

    it('gives a network’s output unit magnitude before training', () => {
      const wide = edm2Config({ ...small, modelChannels: 32, channelMult: [1, 1] });
      const t = 80;
      const x = tf.mul(tensor<tf.Rank.R4>('x', [8, 8, 8, 1]), t) as tf.Tensor4D;
      const denoised = edm2Denoiser(wide, trained(wide, 3))(x, tf.fill([8], t));
      const raw = magnitude(denoised) * (Math.sqrt(t ** 2 + 0.25) / (0.5 * t));
      // Padding with zeros at the border takes some away.
      expect(raw).toBeGreaterThan(0.5);
      expect(raw).toBeLessThan(1.2);
    });

    it('of the uncertainty is one number a row', () => {
      expect(edm2LogVariance(trained(), tf.tensor1d(levels)).shape).toEqual([4]);
    });
  });

  describe('dropout', () => {
    it('drops the same activations of a row whether it comes with its batch or with a few others', () => {
      const model = edm2Denoiser(small, trained(), { dropout: { key: key(2) } });
      const { x, t } = batch();
      const whole = model(x, t);
      const some = tf.tensor1d([3, 1], 'int32');
      const subset = [tf.gather(x, some), tf.gather(t, some)] as const;
      const part = model(...subset, undefined, [3, 1]);
      expectClose(part, tf.gather(whole, some), 1e-6);
      const ofOthers = model(...subset, undefined, [0, 1]);
      expect(magnitude(tf.sub(ofOthers, part))).toBeGreaterThan(1e-3);
    });

    it('differs by key, and is off without the option, at rate 0 and above its largest resolution', () => {
      const weights = trained();
      const { x, t } = batch();
      const plain = edm2Denoiser(small, weights)(x, t);
      const change = (config: typeof small, dropout: { key: ReturnType<typeof key>; rate?: number }) =>
        magnitude(tf.sub(edm2Denoiser(config, weights, { dropout })(x, t), plain));
      expect(change(small, { key: key(2), rate: 0 })).toBe(0);
      expect(change({ ...small, dropoutMaxResolution: 2 }, { key: key(2) })).toBe(0);
      const everywhere = change(small, { key: key(2) });
      expect(everywhere).toBeGreaterThan(1e-3);
      expect(change(small, { key: key(3) })).not.toBe(everywhere);
      const inside = change({ ...small, dropoutMaxResolution: 4 }, { key: key(2) });
      expect(inside).toBeGreaterThan(1e-3);
      expect(inside).not.toBe(everywhere);
    });
  });

  describe('labels', () => {
    const conditional = edm2Config({ ...small, labelDim: 3 });

    it('decide the output, each row by its own', () => {
      const model = edm2Denoiser(conditional, normalizeWeights(conditional, withGains(conditional)).weights);
      const { x, t } = batch();
      const a = model(x, t, tf.tensor1d([0, 1, 2, 0], 'int32'));
      const b = model(x, t, tf.tensor1d([0, 1, 2, 1], 'int32'));
      const change = tf.max(tf.abs(tf.sub(a, b)), [1, 2, 3]).dataSync();
      expect([...change.slice(0, 3)]).toEqual([0, 0, 0]);
      expect(change[3]).toBeGreaterThan(1e-3);
    });

    it('of -1 are no class: only the noise level is embedded', () => {
      const params = withGains(conditional);
      const { x, t } = batch();
      const none = tf.tensor1d([-1, -1, -1, -1], 'int32');
      const withoutClass = edm2Denoiser(conditional, normalizeWeights(conditional, params).weights)(x, t, none);
      params['unet.emb_label.weight'] = tf.mul(params['unet.emb_label.weight']!, -1);
      const { weights } = normalizeWeights(conditional, params);
      expectClose(edm2Denoiser(conditional, weights)(x, t, none), withoutClass, 0);
      const some = tf.tensor1d([-1, -1, -1, 1], 'int32');
      const change = tf.max(tf.abs(tf.sub(edm2Denoiser(conditional, weights)(x, t, some), withoutClass)), [1, 2, 3]);
      expect([...change.dataSync()].map((value) => value > 1e-3)).toEqual([false, false, false, true]);
    });

    it('are dropped by row at a rate, for classifier-free guidance', () => {
      const { weights } = normalizeWeights(conditional, withGains(conditional));
      const { x, t } = batch();
      const run = (labels: number[], labelRate: number) =>
        edm2Denoiser(conditional, weights, { dropout: { key: key(3), rate: 0, labelRate } })(
          x,
          t,
          tf.tensor1d(labels, 'int32'),
        );
      expectClose(run([0, 1, 2, 0], 0.999), run([-1, -1, -1, -1], 0), 1e-6);
      expectClose(
        run([0, 1, 2, 0], 0),
        edm2Denoiser(conditional, weights)(x, t, tf.tensor1d([0, 1, 2, 0], 'int32')),
        0,
      );
    });

    it.each([
      ['missing', undefined, /labels are missing, expected class indices \[4\] below 3/],
      ['too few', [0, 1, 2], /labels are int32 \[3\], expected int32 \[4\]/],
      ['above the last class', [0, 1, 2, 3], /labels have 3, expected 0 to 2/],
      ['below -1', [0, -2, 2, 0], /labels have -2, expected 0 to 2, or -1 for no class/],
    ])('that are %s are refused', (_, labels, message) => {
      const { x, t } = batch();
      const model = edm2Denoiser(conditional, {});
      expect(() => model(x, t, labels && tf.tensor1d(labels, 'int32'))).toThrow(message);
    });

    it('that are not whole numbers are refused', () => {
      const { x, t } = batch();
      expect(() => edm2Denoiser(conditional, {})(x, t, tf.zeros([4]))).toThrow(/labels are float32 \[4\]/);
    });

    it('are refused by a network without classes', () => {
      const { x, t } = batch();
      expect(() => edm2Denoiser(small, {})(x, t, tf.zeros([4], 'int32'))).toThrow(/labels were given, expected none/);
    });
  });

  it('images, noise levels and rows that do not fit are refused', () => {
    const { x, t } = batch();
    const model = edm2Denoiser(small, {}, { dropout: { key: key(1) } });
    expect(() => model(tf.zeros([4, 8, 8, 3]), t)).toThrow(/x has shape \[4,8,8,3\], expected \[batch, 8, 8, 1\]/);
    expect(() => model(x, tf.zeros([3]))).toThrow(/t has shape \[3\], expected \[4\]/);
    expect(() => model(x, t, undefined, [1])).toThrow(/rows has 1 entries, expected batch 4/);
  });

  it('a training step leaves no tensors but those it returns', async () => {
    const params = initEdm2(small, key(4));
    const { x, t } = batch();
    await expectNoLeak(() => {
      const forced = forceWeightNorm(small, params);
      const { weights, pullback } = normalizeWeights(small, forced);
      const model = (given: tf.NamedTensorMap) => edm2Denoiser(small, given, { dropout: { key: key(5) } })(x, t);
      const { value, grads } = valueAndGrads((given) => tf.mean(tf.square(model(given))) as tf.Scalar, weights);
      tf.dispose([forced, weights, value, grads, pullback(grads)]);
    });
  });
});

/** Parameters with every gain at 1: an untrained network ignores its embedding. */
function withGains(config: typeof small): tf.NamedTensorMap {
  const params = initEdm2(config, key(1));
  for (const name of Object.keys(params)) if (name.endsWith('gain')) params[name] = tf.scalar(1);
  return params;
}
