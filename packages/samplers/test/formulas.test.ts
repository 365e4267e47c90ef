import { describe, expect, it } from 'vitest';
import { adams } from '../src/diffusion/adams';
import { ancestral } from '../src/diffusion/ancestral';
import { churn } from '../src/diffusion/churn';
import { dpmFastOrders, dpmSolver2, dpmSolver3 } from '../src/diffusion/dpm-solver';
import { dpmPlusPlus2S, dpmPlusPlusMultistep } from '../src/diffusion/dpm-solver-plus-plus';
import { euler } from '../src/diffusion/euler';
import { heun } from '../src/diffusion/heun';
import { uniPc } from '../src/diffusion/uni-pc';
import { variancePreservingTime } from '../src/noise-levels';
import { mixtureProblem, numbers, solve } from './support';

// The formulas as the papers print them, on numbers in float64. α = 1 and σ = t throughout.

const D = (x: number, t: number) => mixtureProblem.denoise(x, t);
const eps = (x: number, t: number) => (x - D(x, t)) / t;
const lambda = (t: number) => -Math.log(t);
const level = (l: number) => Math.exp(-l);
const start = 1.7;
const levels = [5, 2.6, 1.1, 0.7, 0.25];
const run = (solver: Parameters<typeof solve>[3]['solver'], noises?: () => number, grid = levels) =>
  solve(numbers(mixtureProblem, noises).space, start, grid, { solver });
const close = (actual: number, expected: number) => expect(Math.abs(actual - expected)).toBeLessThan(1e-12);
/** Applies a one-step formula along the grid. */
const along = (step: (x: number, t: number, s: number) => number) =>
  levels.slice(1).reduce((x, s, i) => step(x, levels[i]!, s), start);

describe('one-step solvers', () => {
  it('Euler is DDIM in the variance-preserving process (arXiv 2010.02502, Eq. 12, η = 0)', () => {
    // ᾱ = 1/(1 + σ²), x_vp = √ᾱ·x.
    const bar = (t: number) => 1 / (1 + t * t);
    const ddim = along((x, t, s) => {
      const predicted = D(x, t);
      const vp = Math.sqrt(bar(t)) * x;
      const noise = (vp - Math.sqrt(bar(t)) * predicted) / Math.sqrt(1 - bar(t));
      return (Math.sqrt(bar(s)) * predicted + Math.sqrt(1 - bar(s)) * noise) / Math.sqrt(bar(s));
    });
    close(run(euler), ddim);
  });

  it.each([0.3, 1])('ancestral Euler is DDIM with η = %s (Eq. 16)', (eta) => {
    const bar = (t: number) => 1 / (1 + t * t);
    const noises = [0.3, -1.1, 0.8, 0.5];
    let i = 0;
    const ddim = along((x, t, s) => {
      const up = eta * Math.sqrt((1 - bar(s)) / (1 - bar(t))) * Math.sqrt(1 - bar(t) / bar(s));
      const noise = (Math.sqrt(bar(t)) * (x - D(x, t))) / Math.sqrt(1 - bar(t));
      const next = Math.sqrt(bar(s)) * D(x, t) + Math.sqrt(1 - bar(s) - up ** 2) * noise + up * noises[i++]!;
      return next / Math.sqrt(bar(s));
    });
    let j = 0;
    close(
      run(ancestral(euler, eta), () => noises[j++]!),
      ddim,
    );
  });

  it('Heun (arXiv 2206.00364, Algorithm 1; with churn Algorithm 2)', () => {
    const step = (x: number, t: number, s: number) => {
      const d = eps(x, t);
      const there = x + (s - t) * d;
      return x + ((s - t) * (d + eps(there, s))) / 2;
    };
    close(run(heun), along(step));
    const gamma = Math.min(1.2 / 4, Math.SQRT2 - 1);
    const churned = along((x, t, s) => {
      if (t < 0.8 || t > 3) return step(x, t, s);
      const raised = t + gamma * t;
      return step(x + Math.sqrt(raised ** 2 - t ** 2) * 1.003 * 0.4, raised, s);
    });
    const before = churn('test', levels, { churn: { amount: 1.2, min: 0.8, max: 3, noise: 1.003 } });
    close(solve(numbers(mixtureProblem, () => 0.4).space, start, levels, { solver: heun, before }), churned);
  });

  it('DPM-Solver-2 (arXiv 2206.00927, Algorithm 1)', () => {
    const reference = along((x, t, s) => {
      const h = lambda(s) - lambda(t);
      const middle = level((lambda(s) + lambda(t)) / 2);
      const u = x - middle * Math.expm1(h / 2) * eps(x, t);
      return x - s * Math.expm1(h) * eps(u, middle);
    });
    close(run(dpmSolver2), reference);
  });

  it('DPM-Solver-3 (Algorithm 2)', () => {
    const [r1, r2] = [1 / 3, 2 / 3];
    const reference = along((x, t, s) => {
      const h = lambda(s) - lambda(t);
      const [s1, s2] = [level(lambda(t) + r1 * h), level(lambda(t) + r2 * h)];
      const e0 = eps(x, t);
      const u1 = x - s1 * Math.expm1(r1 * h) * e0;
      const D1 = eps(u1, s1) - e0;
      const u2 = x - s2 * Math.expm1(r2 * h) * e0 - ((s2 * r2) / r1) * (Math.expm1(r2 * h) / (r2 * h) - 1) * D1;
      const D2 = eps(u2, s2) - e0;
      return x - s * Math.expm1(h) * e0 - (s / r2) * (Math.expm1(h) / h - 1) * D2;
    });
    close(run(dpmSolver3), reference);
  });

  it('DPM-Solver-fast’s orders spend the evaluations exactly (section 3.4)', () => {
    expect([1, 2, 3, 4, 5, 6, 12].map(dpmFastOrders)).toEqual([
      [1],
      [2],
      [2, 1],
      [3, 1],
      [3, 2],
      [3, 2, 1],
      [3, 3, 3, 2, 1],
    ]);
    for (let n = 1; n < 30; n++) expect(dpmFastOrders(n).reduce((a, b) => a + b)).toBe(n);
  });

  it('DPM-Solver++(2S) (arXiv 2211.01095, Algorithm 1, r = 1/2)', () => {
    const reference = along((x, t, s) => {
      const h = lambda(s) - lambda(t);
      const middle = level((lambda(s) + lambda(t)) / 2);
      const u = (middle / t) * x - Math.expm1(-h / 2) * D(x, t);
      return (s / t) * x - Math.expm1(-h) * D(u, middle);
    });
    close(run(dpmPlusPlus2S), reference);
  });
});

describe('multistep solvers', () => {
  /** The first step's data prediction comes from levels[0], and so on: calls step(x, i, data predictions so far, newest first). */
  const multistep = (step: (x: number, i: number, predictions: number[]) => number) => {
    const predictions: number[] = [];
    let x = start;
    for (let i = 0; i + 1 < levels.length; i++) {
      predictions.unshift(D(x, levels[i]!));
      x = step(x, i, predictions);
    }
    return x;
  };
  const h = (i: number) => lambda(levels[i + 1]!) - lambda(levels[i]!);
  const ratio = (i: number) => levels[i + 1]! / levels[i]!;

  it('DPM-Solver++(2M) (Algorithm 2)', () => {
    const reference = multistep((x, i, [m0, m1]) => {
      const r = i > 0 ? h(i - 1) / h(i) : 1;
      const mixed = m1 === undefined ? m0! : (1 + 1 / (2 * r)) * m0! - (1 / (2 * r)) * m1;
      return ratio(i) * x - Math.expm1(-h(i)) * mixed;
    });
    close(run(dpmPlusPlusMultistep(2)), reference);
  });

  it('SDE-DPM-Solver++(2M) (appendix B)', () => {
    const noises = [0.3, -1.1, 0.8, 0.5];
    const reference = multistep((x, i, [m0, m1]) => {
      const r = i > 0 ? h(i - 1) / h(i) : 1;
      const whole = -Math.expm1(-2 * h(i));
      const slope = m1 === undefined ? 0 : (m0! - m1) / r;
      const noise = levels[i + 1]! * Math.sqrt(-Math.expm1(-2 * h(i))) * noises[i]!;
      return ratio(i) * Math.exp(-h(i)) * x + whole * m0! + (whole * slope) / 2 + noise;
    });
    let j = 0;
    close(
      run(dpmPlusPlusMultistep(2, 1), () => noises[j++]!),
      reference,
    );
  });

  it('of order 1 the SDE variant is ancestral Euler at η = 1', () => {
    const two = [4, 1.5];
    const noise = () => 0.6;
    close(run(dpmPlusPlusMultistep(2, 1), noise, two), run(ancestral(euler, 1), noise, two));
  });

  const thirdOrder = (quadratic: number) =>
    multistep((x, i, [m0, m1, m2]) => {
      const base = ratio(i) * x - Math.expm1(-h(i)) * m0!;
      const phi2 = Math.expm1(-h(i)) / h(i) + 1;
      const phi3 = phi2 / h(i) - 1 / 2;
      if (m1 === undefined) return base;
      const r0 = h(i - 1) / h(i);
      const first = (m0! - m1) / r0;
      if (m2 === undefined) return base + phi2 * first;
      const r1 = h(i - 2) / h(i);
      const second = (first - (m1 - m2) / r1) / (r0 + r1);
      return base + phi2 * (first + r0 * second) - quadratic * phi3 * second;
    });

  it('DPM-Solver++(3M) is the exact integral of the quadratic: twice the usual weight of its leading term', () => {
    close(run(dpmPlusPlusMultistep(3)), thirdOrder(2));
    expect(Math.abs(run(dpmPlusPlusMultistep(3)) - thirdOrder(1))).toBeGreaterThan(1e-4);
  });

  it.each(['B1', 'B2'] as const)('UniPC, %s (arXiv 2302.04867, Algorithms 5 to 8)', (variant) => {
    // a = R⁻¹·φ/B(h) with R's rows r^(k−1), φ_k = k!·h^k·ψ_(k+1), and a_1 = 1/2 where it is alone.
    const B = (step: number) => (variant === 'B1' ? step : -Math.expm1(-step));
    const psi = (k: number, step: number): number =>
      k === 1 ? -Math.expm1(-step) / step : (1 / factorial(k - 1) - psi(k - 1, step)) / step;
    const coefficients = (r: number[], step: number): number[] => {
      if (r.length <= 1) return r.map(() => 1 / 2);
      const right = r.map((_, k) => (factorial(k + 1) * step ** (k + 1) * psi(k + 2, step) * 1) / step ** k / B(step));
      return cramer(
        r.map((_, k) => r.map((value) => value ** k)),
        right,
      );
    };
    for (const order of [1, 2, 3] as const) {
      let corrected = start;
      let predicted = start;
      const past: { l: number; m: number }[] = [];
      for (let i = 0; i + 1 < levels.length; i++) {
        const m = D(predicted, levels[i]!);
        if (i > 0) {
          const step = h(i - 1);
          const [m0, ...older] = past;
          const used = Math.min(order, i);
          const r = older.slice(0, used - 1).map(({ l }) => (l - m0!.l) / step);
          const differences = older.slice(0, used - 1).map((point, k) => (point.m - m0!.m) / r[k]!);
          const a = coefficients([...r, 1], step);
          const sum = [...differences, m - m0!.m].reduce((total, d, k) => total + a[k]! * d, 0);
          corrected = ratio(i - 1) * corrected - Math.expm1(-step) * m0!.m + B(step) * sum;
        }
        past.unshift({ l: lambda(levels[i]!), m });
        const step = h(i);
        const [m0, ...older] = past;
        const used = Math.min(order, i + 1);
        const r = older.slice(0, used - 1).map(({ l }) => (l - m0!.l) / step);
        const a = coefficients(r, step);
        const sum = older
          .slice(0, used - 1)
          .reduce((total, point, k) => total + (a[k]! * (point.m - m0!.m)) / r[k]!, 0);
        predicted = ratio(i) * corrected - Math.expm1(-step) * m0!.m + B(step) * sum;
      }
      close(run(uniPc(order, variant)), predicted);
    }
  });

  it('LMS on an even grid is Adams-Bashforth', () => {
    const even = [5, 4.2, 3.4, 2.6, 1.8, 1.0];
    const weights = [[1], [3 / 2, -1 / 2], [23 / 12, -16 / 12, 5 / 12], [55 / 24, -59 / 24, 37 / 24, -9 / 24]];
    for (const order of [1, 2, 3, 4]) {
      const past: number[] = [];
      let x = start;
      for (const t of even.slice(0, -1)) {
        past.unshift(eps(x, t));
        x += weights[Math.min(order, past.length) - 1]!.reduce((total, w, j) => total - 0.8 * w * past[j]!, 0);
      }
      close(
        run(
          adams(order, (t) => t),
          undefined,
          even,
        ),
        x,
      );
    }
  });

  it('DEIS integrates Lagrange’s polynomials in the time of the variance-preserving process (arXiv 2204.13902, Eq. 15)', () => {
    const sigma = (time: number) => Math.sqrt(Math.expm1((19.9 / 2) * time ** 2 + 0.1 * time));
    for (const order of [1, 2, 3]) {
      const past: { time: number; slope: number }[] = [];
      let x = start;
      for (let i = 0; i + 1 < levels.length; i++) {
        past.unshift({ time: variancePreservingTime(levels[i]!), slope: eps(x, levels[i]!) });
        const nodes = past.slice(0, order + 1);
        const polynomial = (time: number) =>
          nodes.reduce((total, node) => {
            const others = nodes.filter((other) => other !== node);
            return total + others.reduce((l, o) => (l * (time - o.time)) / (node.time - o.time), node.slope);
          }, 0);
        // ∫ P(τ) dσ(τ), with the integral over τ by Simpson's rule on (σ, P) pairs: dσ = σ'(τ)·dτ.
        const [a, b] = [variancePreservingTime(levels[i]!), variancePreservingTime(levels[i + 1]!)];
        const n = 4000;
        const slopeOfSigma = (time: number) => ((19.9 * time + 0.1) * (1 + sigma(time) ** 2)) / (2 * sigma(time));
        let total = 0;
        for (let k = 0; k <= n; k++) {
          const time = a + ((b - a) * k) / n;
          total += (k === 0 || k === n ? 1 : k % 2 ? 4 : 2) * polynomial(time) * slopeOfSigma(time);
        }
        x += (total * (b - a)) / (3 * n);
      }
      close(run(adams(order + 1, variancePreservingTime)), x);
    }
  });
});

describe('randomness', () => {
  /** Linear forms of independent standard-normal noises, by which the variance of a result is exact. */
  const varianceOf = (solver: Parameters<typeof solve>[3]['solver'], steps: number) => {
    const [s, sigmaMax, sigmaMin] = [0.5, 40, 0.1];
    let draws = 0;
    const form = (index: number, value: number) => {
      const x = new Float64Array(steps * 2 + 2);
      x[index] = value;
      return x;
    };
    const space = {
      sum: (...terms: readonly (readonly [number, Float64Array])[]) =>
        terms[0]![1].map((_, i) => terms.reduce((total, [c, x]) => total + c * x[i]!, 0)),
      denoise: (x: Float64Array, t: number) => x.map((value) => (value * s ** 2) / (s ** 2 + t ** 2)),
      noise: () => form(++draws, 1),
    };
    const grid = Array.from({ length: steps + 1 }, (_, i) => sigmaMax * (sigmaMin / sigmaMax) ** (i / steps));
    const end = solve(space, form(0, Math.hypot(s, sigmaMax)), grid, { solver });
    return end.reduce((total, c) => total + c * c, 0) / (s ** 2 + sigmaMin ** 2);
  };

  it.each([
    ['ancestral Euler', ancestral(euler, 1), 1],
    ['ancestral Euler, η = 0.5', ancestral(euler, 0.5), 1],
    ['DPM-Solver++(2S), ancestral', ancestral(dpmPlusPlus2S, 1), 2],
    ['SDE-DPM-Solver++(2M)', dpmPlusPlusMultistep(2, 1), 2],
    ['SDE-DPM-Solver++(2M), η = 0.5', dpmPlusPlusMultistep(2, 0.5), 2],
    ['SDE-DPM-Solver++(3M)', dpmPlusPlusMultistep(3, 1), 2],
  ])('%s keeps a Gaussian’s variance, more exactly the smaller the steps', (_, solver, order) => {
    const [coarse, fine] = [Math.abs(varianceOf(solver, 100) - 1), Math.abs(varianceOf(solver, 200) - 1)];
    expect(fine).toBeLessThan(0.04);
    expect(Math.log2(coarse / fine)).toBeGreaterThan(order - 0.1);
  });
});

const factorial = (n: number): number => (n <= 1 ? 1 : n * factorial(n - 1));

function cramer(matrix: number[][], right: number[]): number[] {
  const det = (m: number[][]): number =>
    m.length === 1
      ? m[0]![0]!
      : m[0]!.reduce(
          (total, value, j) =>
            total + (j % 2 ? -1 : 1) * value * det(m.slice(1).map((row) => row.filter((_, k) => k !== j))),
          0,
        );
  const whole = det(matrix);
  return right.map((_, j) => det(matrix.map((row, i) => row.map((value, k) => (k === j ? right[i]! : value)))) / whole);
}
