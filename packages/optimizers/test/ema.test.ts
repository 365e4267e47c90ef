import { expectClose, expectNoLeak, onEveryBackend, readJsonFixture } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import {
  constantEma,
  posthocCoefficients,
  powerFunctionEma,
  powerFunctionExponent,
  reconstructEma,
  updateEma,
} from '../src';

const fixture = readJsonFixture<{
  std_to_exp: Record<string, number>;
  beta: { std: number; t_next: number; t_delta: number; beta: number }[];
  posthoc: { in_ofs: number[]; in_std: number[]; out_ofs: number; out_std: number[]; coefficients: number[][] }[];
}>(new URL('fixtures/power-ema.json', import.meta.url));

describe('the power-function average', () => {
  it('has the reference exponent for a relative width', () => {
    for (const [sigma, exponent] of Object.entries(fixture.std_to_exp)) {
      expect(Math.abs(powerFunctionExponent(Number(sigma)) / exponent - 1)).toBeLessThan(1e-12);
    }
  });

  it('has the reference decay at a training time', () => {
    for (const { std, t_next, t_delta, beta } of fixture.beta) {
      expect(powerFunctionEma({ sigmaRel: std })(t_next, t_delta)).toBeCloseTo(beta, 12);
    }
  });

  it('follows its profile: after n steps, step i weighs as (i/n)^γ does', () => {
    const exponent = 5;
    const beta = powerFunctionEma({ exponent });
    const n = 2000;
    const weights = new Float64Array(n);
    for (let step = 1; step <= n; step++) {
      for (let i = 0; i < step - 1; i++) weights[i]! *= beta(step);
      weights[step - 1] = 1 - beta(step);
    }
    expect(weights.reduce((sum, w) => sum + w, 0)).toBeCloseTo(1, 9);
    expect(weights[n / 2 - 1]! / weights[n - 1]!).toBeCloseTo(0.5 ** exponent, 3);
  });

  it('is rebuilt after the fact with the reference coefficients', () => {
    for (const { in_ofs, in_std, out_ofs, out_std, coefficients } of fixture.posthoc) {
      const stored = in_ofs.map((time, i) => ({ time, sigmaRel: in_std[i]! }));
      out_std.forEach((sigmaRel, column) => {
        const mine = posthocCoefficients(stored, { time: out_ofs, sigmaRel });
        expectClose(
          mine,
          coefficients.map((row) => row[column]!),
          1e-6,
        );
      });
    }
  });

  it('says what is out of range', () => {
    expect(() => powerFunctionEma({ sigmaRel: 0.5 })).toThrow('sigmaRel is 0.5');
    expect(() => powerFunctionEma({ sigmaRel: 0.1 })(0)).toThrow('0 < delta ≤ time');
    expect(() => constantEma({ decay: 1 })).toThrow('decay is 1');
    expect(() => posthocCoefficients([], { time: 1, sigmaRel: 0.1 })).toThrow('stored is empty');
  });
});

onEveryBackend(() => {
  it('averages tensors without leaving any', async () => {
    const ema = { a: tf.tensor1d([1, 2]) };
    const params = { a: tf.tensor1d([3, 6]) };
    expectClose(updateEma(ema, params, 0.75).a!, [1.5, 3], 1e-7);
    expectClose(reconstructEma([ema, params], [0.5, 2]).a!, [6.5, 13], 1e-7);
    await expectNoLeak(() => {
      tf.dispose([updateEma(ema, params, 0.5), reconstructEma([ema, params], [0.5, 2])]);
    });
    expect(() => updateEma(ema, { a: tf.ones([3]) }, 0.5)).toThrow('updateEma: ema has a of shape [2], expected [3]');
  });
});
