import type { Summary } from './summary';

/** The result as a table for a terminal. */
export function terminalTable({ runs, diffusion, testFrechet, settings }: Summary): string {
  const steps = runs[0]?.samples.map((sample) => sample.steps) ?? [];
  const rows = [
    [`Fréchet distance, ${settings.samples} samples`, ...steps.map((n) => `${n} step${n === 1 ? '' : 's'}`)],
    ...runs.map(({ title, samples }) => [title, ...samples.map(({ frechet }) => frechet.toFixed(1))]),
  ];
  const heun = [
    ['Before tuning, Heun steps', ...diffusion.map(({ steps: n }) => String(n))],
    ['Diffusion model', ...diffusion.map(({ frechet }) => frechet.toFixed(1))],
  ];
  return [align(rows), '', align(heun), '', `Real test images: ${testFrechet.toFixed(1)}`].join('\n');
}

function align(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) => row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('   '))
    .join('\n');
}
