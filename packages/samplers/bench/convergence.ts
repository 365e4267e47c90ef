import { gaussianProblem, mixtureProblem } from '../test/support';
import { errors, slopes, solvers } from './slopes';

// Error against the number of steps, in float64, and the slope between the two finest grids.

const steps = [8, 16, 32, 64, 128, 256, 512];
const table: Record<string, Record<string, string | number>> = {};
for (const [name, { solver, order, evaluations }] of Object.entries(solvers)) {
  const row: Record<string, string | number> = { order, 'evaluations a step': evaluations };
  for (const problem of [gaussianProblem, mixtureProblem]) {
    const found = errors(solver, problem, steps);
    for (const n of [16, 64]) row[`${problem.name}, ${n} steps`] = found[steps.indexOf(n)]!.toExponential(1);
    row[`slopes, ${problem.name}`] = slopes(found)
      .slice(-3)
      .map((slope) => slope.toFixed(2))
      .join(' ');
  }
  table[name] = row;
}
console.table(table);
