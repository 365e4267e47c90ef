import { expectClose, unit, useWasm } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';

beforeAll(useWasm);

interface Case {
  readonly shape: [batch: number, height: number, width: number, channels: number];
  readonly groups: number;
  readonly silu: boolean;
  readonly ofImages: boolean;
}

const cases: Case[] = [
  { shape: [2, 3, 3, 4], groups: 2, silu: false, ofImages: false },
  { shape: [1, 1, 1, 1], groups: 1, silu: true, ofImages: false },
  { shape: [2, 5, 3, 3], groups: 1, silu: true, ofImages: true },
  { shape: [3, 4, 5, 15], groups: 5, silu: true, ofImages: true },
  { shape: [2, 9, 8, 16], groups: 16, silu: false, ofImages: true },
  { shape: [2, 13, 11, 39], groups: 13, silu: true, ofImages: false },
];
const name = ({ shape, groups, silu, ofImages }: Case) =>
  `[${shape}] in ${groups} groups${silu ? ', activated' : ''}, gains of ${ofImages ? 'images' : 'channels'}`;

const EPSILON = 1e-5;

/** In float64: y, and the gradients of ⟨y, dy⟩. */
function reference(
  { shape, groups, silu, ofImages }: Case,
  inputs: Record<'x' | 'gain' | 'bias' | 'dy', Float32Array>,
) {
  const [batch, height, width, channels] = shape;
  const pixels = height * width;
  const size = channels / groups;
  const [y, dx] = [new Float64Array(batch * pixels * channels), new Float64Array(batch * pixels * channels)];
  const [dgain, dbias] = [new Float64Array(batch * channels), new Float64Array(batch * channels)];
  for (let b = 0; b < batch; b++) {
    for (let g = 0; g < groups; g++) {
      const places = Array.from({ length: pixels * size }, (_, i) => {
        const c = g * size + (i % size);
        return { at: (b * pixels + Math.floor(i / size)) * channels + c, c };
      });
      const mean = (f: (place: { at: number; c: number }) => number) =>
        places.reduce((sum, place) => sum + f(place), 0) / places.length;
      const mu = mean(({ at }) => inputs.x[at]!);
      const r = 1 / Math.sqrt(mean(({ at }) => (inputs.x[at]! - mu) ** 2) + EPSILON);
      const of = (parameter: Float32Array, c: number) => parameter[ofImages ? b * channels + c : c]!;
      const normalised = (at: number) => (inputs.x[at]! - mu) * r;
      const z = ({ at, c }: { at: number; c: number }) => normalised(at) * of(inputs.gain, c) + of(inputs.bias, c);
      const slope = (place: { at: number; c: number }) => {
        const s = 1 / (1 + Math.exp(-z(place)));
        return inputs.dy[place.at]! * (silu ? s * (1 + z(place) * (1 - s)) : 1);
      };
      const pulled = (place: { at: number; c: number }) => slope(place) * of(inputs.gain, place.c);
      const [level, along] = [mean(pulled), mean((place) => pulled(place) * normalised(place.at))];
      for (const place of places) {
        y[place.at] = z(place) / (silu ? 1 + Math.exp(-z(place)) : 1);
        dx[place.at] = r * (pulled(place) - level - normalised(place.at) * along);
        dgain[b * channels + place.c]! += slope(place) * normalised(place.at);
        dbias[b * channels + place.c]! += slope(place);
      }
    }
  }
  return { y, dx, dgain, dbias };
}

function inputsOf({ shape, ofImages }: Case) {
  const [batch, , , channels] = shape;
  const parameters = ofImages ? [batch, channels] : [channels];
  const tensors = {
    x: tf.tensor(unit('x', shape), shape),
    gain: tf.tensor(unit('gain', parameters), parameters),
    bias: tf.tensor(unit('bias', parameters), parameters),
  };
  return { tensors, dy: tf.tensor(unit('dy', shape), shape) };
}

describe('group normalisation', () => {
  it.each(cases.map((each) => [name(each), each] as const))('of %s, and its gradients', (_, each) => {
    const { tensors, dy } = inputsOf(each);
    const values = (tensor: tf.Tensor) => tensor.dataSync() as Float32Array;
    const { x, gain, bias } = tensors;
    const expected = reference(each, { x: values(x), gain: values(gain), bias: values(bias), dy: values(dy) });
    const attributes = { groups: each.groups, epsilon: EPSILON, silu: each.silu };
    const y = tf.engine().runKernel('GroupNorm', tensors, attributes) as tf.Tensor;
    expect(y.shape).toEqual(each.shape);
    expectClose(y, expected.y, 3e-6);
    const gradients = tf.engine().runKernel('GroupNormGrad', { ...tensors, dy }, attributes) as unknown as tf.Tensor[];
    expect(gradients.map(({ shape }) => shape)).toEqual([
      each.shape,
      [each.shape[0], each.shape[3]],
      [each.shape[0], each.shape[3]],
    ]);
    expectClose(gradients[0]!, expected.dx, 1e-5);
    expectClose(gradients[1]!, expected.dgain, 3e-6);
    expectClose(gradients[2]!, expected.dbias, 3e-6);
  });

  it('does not lose a small spread on a large level', () => {
    const shape = [1, 32, 32, 4];
    const spread = unit('spread', shape);
    const x = tf.tensor(
      spread.map((value) => 1000 + value),
      shape,
    );
    const [gain, bias] = [tf.ones([4]), tf.zeros([4])];
    const attributes = { groups: 1, epsilon: EPSILON, silu: false };
    const y = tf.engine().runKernel('GroupNorm', { x, gain, bias }, attributes) as tf.Tensor;
    const { mean, variance } = tf.moments(y);
    expect(Math.abs(mean.dataSync()[0]!)).toBeLessThan(1e-3);
    expect(Math.abs(variance.dataSync()[0]! - 1)).toBeLessThan(1e-3);
  });

  it('names what is wrong', () => {
    const run = (channels: number, gain: number[], groups: number) => () =>
      tf
        .engine()
        .runKernel(
          'GroupNorm',
          { x: tf.zeros([2, 2, 2, channels]), gain: tf.zeros(gain), bias: tf.zeros(gain) },
          { groups, epsilon: EPSILON, silu: false },
        );
    expect(run(6, [6], 4)).toThrow("GroupNorm: groups is 4, expected a divisor of x's 6 channels");
    expect(run(6, [5], 3)).toThrow('GroupNorm: gain has shape [5], expected [6]');
    expect(run(6, [1, 6], 3)).toThrow('GroupNorm: gain has shape [1,6], expected [2,6]');
  });
});
