import { karrasGrid } from '@cm/schedules';
import { adams } from '../src/diffusion/adams';
import { dpmSolver2, dpmSolver3 } from '../src/diffusion/dpm-solver';
import { dpmPlusPlus2S, dpmPlusPlusMultistep } from '../src/diffusion/dpm-solver-plus-plus';
import { euler } from '../src/diffusion/euler';
import { heun } from '../src/diffusion/heun';
import { uniPc } from '../src/diffusion/uni-pc';
import { variancePreservingTime } from '../src/noise-levels';
import type { Solver } from '../src/solver';
import { exactEnd, numbers, type Problem, solve } from '../test/support';

/** Every deterministic solver with a fixed grid, its order, and its evaluations a step. */
export const solvers: Record<string, { solver: Solver; order: number; evaluations: number }> = {
  'Euler, DDIM': { solver: euler, order: 1, evaluations: 1 },
  Heun: { solver: heun, order: 2, evaluations: 2 },
  'DPM-Solver-2': { solver: dpmSolver2, order: 2, evaluations: 2 },
  'DPM-Solver-3': { solver: dpmSolver3, order: 3, evaluations: 3 },
  'DPM-Solver++(2S)': { solver: dpmPlusPlus2S, order: 2, evaluations: 2 },
  'DPM-Solver++(2M)': { solver: dpmPlusPlusMultistep(2), order: 2, evaluations: 1 },
  'DPM-Solver++(3M)': { solver: dpmPlusPlusMultistep(3), order: 3, evaluations: 1 },
  'DEIS tAB1': { solver: adams(2, variancePreservingTime), order: 2, evaluations: 1 },
  'DEIS tAB2': { solver: adams(3, variancePreservingTime), order: 3, evaluations: 1 },
  'DEIS tAB3': { solver: adams(4, variancePreservingTime), order: 4, evaluations: 1 },
  'LMS 2': { solver: adams(2, (t) => t), order: 2, evaluations: 1 },
  'LMS 3': { solver: adams(3, (t) => t), order: 3, evaluations: 1 },
  'LMS 4': { solver: adams(4, (t) => t), order: 4, evaluations: 1 },
  'UniPC-1, B1': { solver: uniPc(1, 'B1'), order: 2, evaluations: 1 },
  'UniPC-1, B2': { solver: uniPc(1, 'B2'), order: 2, evaluations: 1 },
  'UniPC-2, B1': { solver: uniPc(2, 'B1'), order: 3, evaluations: 1 },
  'UniPC-2, B2': { solver: uniPc(2, 'B2'), order: 3, evaluations: 1 },
  'UniPC-3, B1': { solver: uniPc(3, 'B1'), order: 4, evaluations: 1 },
  'UniPC-3, B2': { solver: uniPc(3, 'B2'), order: 4, evaluations: 1 },
};

/** Noise levels between which orders are measured, and the starting points (in units of the first level). */
const range = { sigmaMax: 40, sigmaMin: 0.02 };
const starts = [-1.3, -0.4, 0.2, 0.9];

/**
 * The error of a solver against the exact path, root mean square over a few starting points, for each number of steps: float64, on a
 * Karras grid that ends at σ_min, so that the last denoising step has no part in it.
 */
export function errors(solver: Solver, problem: Problem, steps: readonly number[]): number[] {
  const { space } = numbers(problem);
  const ends = starts.map((z) => [z * range.sigmaMax, exact(problem, z * range.sigmaMax)] as const);
  return steps.map((n) => {
    const levels = karrasGrid({ ...range, steps: n + 1 }).slice(0, -1);
    const squares = ends.map(([start, end]) => (solve(space, start, levels, { solver }) - end) ** 2);
    return Math.sqrt(squares.reduce((a, b) => a + b) / squares.length);
  });
}

const known = new Map<string, number>();
function exact(problem: Problem, start: number): number {
  const name = `${problem.name} ${start}`;
  if (!known.has(name)) known.set(name, exactEnd(problem, start, range.sigmaMax, range.sigmaMin));
  return known.get(name)!;
}

/** How fast the error falls from one number of steps to twice as many: log₂ of the ratio. */
export const slopes = (values: readonly number[]) => values.slice(1).map((value, i) => Math.log2(values[i]! / value));
