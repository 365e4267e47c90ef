import { valueAndGrads } from '@cm/gradients';
import { expectClose, onEveryBackend, readJsonFixture, unit } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { speedUpCpuFilterGradient } from '../../edm2-unet/test/cpu-filter-gradient';
import {
  checkpointShapes,
  edmArguments,
  edmConfigFromArguments,
  edmDenoiser,
  fromCheckpoint,
  iddpmNoiseLevels,
  noiseLevelRange,
  toCheckpoint,
} from '../src';
import { formulaParameters } from './reference';

/** What a reference network of 8 × 8 images gave for three of them. Images are NHWC. */
interface Recorded {
  readonly className: string;
  readonly kwargs: Record<string, unknown>;
  readonly sigma: number[];
  readonly denoised: number[];
  /** Gradient of the sum of the denoised images times a probe. */
  readonly dx: number[];
  /** Without classes, where the network has some. */
  readonly withoutClass?: number[];
  readonly augment?: number[][];
  /** Its state dictionary. */
  readonly tensors: Record<string, number[]>;
  /** Of each parameter's gradient: its product with a probe, and its length. */
  readonly gradients: Record<string, [number, number]>;
  /** Noise levels 0, 1, 500, 999 and 1000 of improved DDPM. */
  readonly u?: number[];
  readonly range: [number, number | null];
}

const networks = readJsonFixture<Record<string, Recorded>>(new URL('fixtures/architectures.json', import.meta.url));
const nhwc = (name: string) => {
  const nchw = tf.tensor4d(unit(name, [3, 3, 8, 8]), [3, 3, 8, 8]);
  return tf.transpose(nchw, [0, 2, 3, 1]) as tf.Tensor4D;
};
const oihw = (gradient: tf.Tensor) => (gradient.rank === 4 ? tf.transpose(gradient, [3, 2, 0, 1]) : gradient);

onEveryBackend((backend) => {
  beforeAll(speedUpCpuFilterGradient);

  describe.each(Object.entries(networks))('the reference network %s', (name, recorded) => {
    const tag = `${name}/`;
    const config = edmConfigFromArguments(recorded);
    const t = () => tf.tensor1d(recorded.sigma);
    const labels = () => (config.labelDim > 0 ? tf.tensor1d([0, 1, 2], 'int32') : null);
    const augment = () => recorded.augment && tf.tensor2d(recorded.augment);
    const noisy = () =>
      tf.tidy(() => {
        const noise = tf.mul(nhwc(`${tag}eps`), tf.tensor4d(recorded.sigma, [3, 1, 1, 1]));
        return tf.add(tf.mul(nhwc(`${tag}x0`), 0.5), noise) as tf.Tensor4D;
      });

    it('gives the same images', () => {
      const denoiser = edmDenoiser(config, formulaParameters(config, tag));
      expectClose(denoiser(noisy(), t(), labels(), undefined, augment()), recorded.denoised, 1e-4);
      if (!recorded.withoutClass) return;
      expectClose(denoiser(noisy(), t(), tf.tensor1d([-1, -1, -1], 'int32')), recorded.withoutClass, 1e-4);
    });

    // The widest of them would take a minute in plain JavaScript.
    it.skipIf(backend === 'cpu' && name === 'adm')('gives the same gradients of images and parameters', () => {
      const { grads } = valueAndGrads(
        ({ x, ...given }) => {
          const denoised = edmDenoiser(config, given)(x as tf.Tensor4D, t(), labels(), undefined, augment());
          return tf.sum(tf.mul(denoised, nhwc(`${tag}probe`))) as tf.Scalar;
        },
        { ...formulaParameters(config, tag), x: noisy() },
      );
      expectClose(grads.x!, recorded.dx, 1e-4);
      for (const [parameter, [product, length]] of Object.entries(recorded.gradients)) {
        const gradient = oihw(grads[parameter]!);
        const probe = tf.tensor(unit(`${tag}grad.${parameter}`, gradient.shape), gradient.shape);
        expect(Math.abs(tf.norm(gradient).dataSync()[0]! - length)).toBeLessThan(1e-4 * length);
        expect(Math.abs(tf.sum(tf.mul(gradient, probe)).dataSync()[0]! - product)).toBeLessThan(3e-4 * length);
      }
    });

    it('has the same state dictionary', () => {
      const { required, optional } = checkpointShapes(config);
      const all = Object.fromEntries(
        Object.entries({ ...required, ...optional }).map(([key, shape]) => [key, [...shape]]),
      );
      expect(all).toEqual(recorded.tensors);
    });

    it('goes to a checkpoint and back', () => {
      const params = formulaParameters(config, tag);
      const file = toCheckpoint(config, params);
      const shapes = Object.fromEntries(Object.entries(file).map(([key, { shape }]) => [key, shape]));
      expect(shapes).toEqual(recorded.tensors);
      const back = fromCheckpoint(config, file);
      expect(Object.keys(back)).toEqual(Object.keys(params));
      for (const key of Object.keys(params)) expectClose(back[key]!, params[key]!, 0);
    });
  });
});

describe.each(Object.entries(networks))('the constructor arguments of %s', (_, { className, kwargs, range, u }) => {
  const config = edmConfigFromArguments({ className, kwargs });

  it('are those that the configuration is written as', () => {
    const written = edmArguments(config);
    expect(written).toMatchObject({ className, kwargs });
    expect(edmConfigFromArguments(JSON.parse(JSON.stringify(written)))).toEqual(config);
  });

  it('give the noise levels', () => {
    const { min, max } = noiseLevelRange(config.preconditioning);
    // The reference's least are differences of nearly equal float32 numbers.
    expect(Math.abs(min - range[0])).toBeLessThanOrEqual(0.03 * range[0]);
    if (range[1] === null) expect(max).toBe(Number.POSITIVE_INFINITY);
    else expect(Math.abs(max / range[1] - 1)).toBeLessThan(1e-5);
    if (!u || config.preconditioning.kind !== 'iddpm') return;
    const levels = iddpmNoiseLevels(config.preconditioning);
    for (const [i, index] of [0, 1, 500, 999, 1000].entries()) {
      // The reference's are sums of a thousand float32 steps.
      expect(Math.abs(levels[index]! - u[i]!)).toBeLessThanOrEqual(1e-3 * u[i]!);
    }
  });
});
