import { describe, expect, it } from 'vitest';
import { errors, slopes, solvers } from '../bench/slopes';
import { exponentialMoment, exponentialWeights } from '../src/diffusion/exponential';
import type { Solver } from '../src/solver';
import { exactEnd, gaussianProblem, mixtureProblem } from './support';

describe.each(Object.entries(solvers))('%s', (_, { solver, order }) => {
  it(`converges at order ${order} on a mixture of Gaussians`, () => {
    const [slope] = slopes(errors(solver, mixtureProblem, [128, 256]));
    expect(slope).toBeGreaterThan(order - 0.3);
    expect(slope).toBeLessThan(order + 0.3);
  });

  it('converges at least as fast on a Gaussian', () => {
    // Where the path is a straight line some solvers do better than their order; 128 steps stay above rounding.
    const [slope] = slopes(errors(solver, gaussianProblem, [64, 128]));
    expect(slope).toBeGreaterThan(order - 0.3);
  });
});

it('DPM-Solver++(3M) with half the weight of the quadratic’s leading term, as often seen, is of order 2', () => {
  const halved: Solver = (space, { x, memory }, { from, to, earlier }) => {
    const predictions = [space.denoise(x, from), ...memory].slice(0, 3);
    const h = Math.log(from / to);
    const nodes = predictions.map((_, i) => (i === 0 ? 0 : Math.log(from / earlier[i - 1]!) / h));
    const weights = exponentialWeights(nodes, h);
    if (predictions.length === 3) {
      // The divided difference of second order, less half of its weight.
      const [, a, b] = nodes as [number, number, number];
      const excess = exponentialMoment(2, h) / 2;
      weights[0]! -= excess / (a * b);
      weights[1]! -= excess / (a * (a - b));
      weights[2]! -= excess / (b * (b - a));
    }
    const terms = predictions.map((image, i) => [weights[i]!, image] as const);
    return { x: space.sum([to / from, x], ...terms), memory: predictions };
  };
  const [slope] = slopes(errors(halved, mixtureProblem, [256, 512]));
  expect(slope).toBeGreaterThan(1.7);
  expect(slope).toBeLessThan(2.3);
});

it('the reference path is exact: on a Gaussian it is (x − μ)·√((s² + t²)/(s² + t_0²)) + μ', () => {
  const end = exactEnd(gaussianProblem, 12, 40, 0.02);
  const scale = Math.sqrt((0.25 + 0.02 ** 2) / (0.25 + 40 ** 2));
  expect(Math.abs(end - (0.3 + (12 - 0.3) * scale))).toBeLessThan(1e-11);
});

it('exponential moments keep their digits at every length', () => {
  // ∫₀¹ e^(−H(1−u))·u^k·H du by Simpson's rule.
  const integral = (k: number, H: number) => {
    const n = 2000;
    let total = 0;
    for (let i = 0; i <= n; i++) {
      const u = i / n;
      const weight = i === 0 || i === n ? 1 : i % 2 ? 4 : 2;
      total += weight * Math.exp(-H * (1 - u)) * u ** k * H;
    }
    return total / (3 * n);
  };
  for (const H of [1e-4, 0.01, 0.7, 1.99, 2.01, 8]) {
    for (let k = 0; k < 4; k++) {
      expect(Math.abs(exponentialMoment(k, H) / integral(k, H) - 1)).toBeLessThan(1e-9);
    }
  }
});
