import { valueAndGrads } from '@cm/gradients';
import { key } from '@cm/random';
import { expectClose, expectNoLeak, onEveryBackend } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { speedUpCpuFilterGradient } from '../../edm2-unet/test/cpu-filter-gradient';
import { edmDenoiser, initEdm, songUNetConfig } from '../src';
import { formulaParameters } from './reference';
import { magnitude, small, tensor } from './small';

const levels = [0.1, 0.5, 2, 10];
const batch = () => ({ x: tensor<tf.Rank.R4>('x', [4, 8, 8, 1]) as tf.Tensor4D, t: tf.tensor1d(levels) });
const conditional = songUNetConfig({ ...withoutArchitecture(small), labelDim: 3, labelDropout: 0.5, augmentDim: 2 });

function withoutArchitecture({ architecture: _, ...options }: typeof small) {
  return options;
}

onEveryBackend(() => {
  beforeAll(speedUpCpuFilterGradient);

  it('an untrained network gives nearly c_skip·x', () => {
    const { x, t } = batch();
    const skips = levels.map((level) => 0.25 / (level ** 2 + 0.25));
    const denoised = edmDenoiser(small, initEdm(small, key(1)))(x, t);
    expectClose(denoised, tf.mul(x, tf.tensor4d(skips, [4, 1, 1, 1])), 1e-3);
  });

  it("ECT's evaluation returns its input at the smallest noise level, and is EDM's far above", () => {
    const { x, t } = batch();
    const params = formulaParameters(small, '');
    const evaluated = edmDenoiser(
      { ...small, preconditioning: { kind: 'ecm', sigmaData: 0.5, sigmaMin: 0.003 } },
      params,
    );
    expectClose(evaluated(x, tf.fill([4], 0.003)), x, 1e-6);
    expectClose(evaluated(x, tf.fill([4], 50)), edmDenoiser(small, params)(x, tf.fill([4], 50)), 1e-4);
    expect(magnitude(tf.sub(evaluated(x, t), edmDenoiser(small, params)(x, t)))).toBeGreaterThan(1e-5);
  });

  describe('dropout', () => {
    it('drops the same activations of a row whether it comes with its batch or with a few others', () => {
      const model = edmDenoiser(small, formulaParameters(small, ''), { dropout: { key: key(2) } });
      const { x, t } = batch();
      const some = tf.tensor1d([3, 1], 'int32');
      const subset = [tf.gather(x, some), tf.gather(t, some)] as const;
      const part = model(...subset, undefined, [3, 1]);
      expectClose(part, tf.gather(model(x, t), some), 1e-5);
      expect(magnitude(tf.sub(model(...subset, undefined, [0, 1]), part))).toBeGreaterThan(1e-3);
    });

    it('of labels takes the classes of some rows, keyed by row', () => {
      const params = formulaParameters(conditional, '');
      const { x, t } = batch();
      const labels = tf.tensor1d([0, 1, 2, 0], 'int32');
      const run = (seed: number, given: tf.Tensor) =>
        edmDenoiser(conditional, params, { dropout: { key: key(seed), rate: 0 } })(x, t, given);
      const none = run(1, tf.tensor1d([-1, -1, -1, -1], 'int32'));
      const kept = edmDenoiser(conditional, params)(x, t, labels);
      const seen = new Set<string>();
      for (let seed = 0; seed < 6; seed++) {
        const change = (from: tf.Tensor) => tf.max(tf.abs(tf.sub(run(seed, labels), from)), [1, 2, 3]).dataSync();
        const [toKept, toNone] = [change(kept), change(none)];
        for (let row = 0; row < 4; row++) {
          const dropped = toNone[row]! < toKept[row]!;
          expect(dropped ? toNone[row] : toKept[row]).toBeLessThan(1e-5);
          seen.add(String(dropped));
        }
      }
      expect(seen).toEqual(new Set(['true', 'false']));
    });
  });

  it('that computes its blocks again in the backward pass has the same gradients', () => {
    const { x, t } = batch();
    const params = formulaParameters(small, '');
    const [plain, again] = [false, true].map((recompute) =>
      valueAndGrads((given) => {
        const model = edmDenoiser(small, given, { dropout: { key: key(5) }, recompute });
        return tf.mean(tf.square(model(x, t))) as tf.Scalar;
      }, params),
    );
    expectClose(again!.value, plain!.value, 1e-6);
    for (const name of Object.keys(params)) expectClose(again!.grads[name]!, plain!.grads[name]!, 1e-5);
  });

  it('images, noise levels, labels, rows and augmentation that do not fit are refused', () => {
    const { x, t } = batch();
    const model = edmDenoiser(small, {}, { dropout: { key: key(1) } });
    expect(() => model(tf.zeros([4, 8, 8, 3]), t)).toThrow(
      /edmDenoiser: x has shape \[4,8,8,3\], expected \[batch, 8, 8, 1\]/,
    );
    expect(() => model(x, tf.zeros([3]))).toThrow(/t has shape \[3\], expected \[4\]/);
    expect(() => model(x, t, tf.zeros([4], 'int32'))).toThrow(/labels were given, expected none/);
    expect(() => model(x, t, undefined, [1])).toThrow(/rows has 1 entries, expected batch 4/);
    expect(() => model(x, t, undefined, undefined, tf.zeros([4, 9]))).toThrow(
      /augment has shape \[4,9\], expected \[4,0\]/,
    );
    const classes = edmDenoiser(conditional, {});
    expect(() => classes(x, t)).toThrow(/labels are missing, expected class indices \[4\] below 3/);
    expect(() => classes(x, t, tf.tensor1d([0, 1, 2, 3], 'int32'))).toThrow(/labels have 3, expected 0 to 2, or -1/);
  });

  it('a training step leaves no tensors but those it returns', async () => {
    const params = initEdm(conditional, key(4));
    const { x, t } = batch();
    const labels = tf.tensor1d([0, 1, 2, 0], 'int32');
    const augment = tensor<tf.Rank.R2>('augment', [4, 2]) as tf.Tensor2D;
    await expectNoLeak(() => {
      const { value, grads } = valueAndGrads((given) => {
        const model = edmDenoiser(conditional, given, { dropout: { key: key(5) } });
        return tf.mean(tf.square(model(x, t, labels, undefined, augment))) as tf.Scalar;
      }, params);
      tf.dispose([value, grads]);
    });
  });
});
