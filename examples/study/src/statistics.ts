/** Mean, and sample standard deviation (0 of a single value). */
export function meanAndDeviation(values: readonly number[]): { mean: number; deviation: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / Math.max(values.length - 1, 1)) };
}

/** `mean ± deviation`, the latter left out for a single value. */
export function spread(values: readonly number[]): string {
  const { mean, deviation } = meanAndDeviation(values);
  const digits = mean < 50 ? 1 : 0;
  return values.length > 1 ? `${mean.toFixed(digits)} ± ${deviation.toFixed(digits)}` : mean.toFixed(digits);
}

/** The distinct values, in order of first appearance. */
export const distinct = <T>(values: readonly T[]): T[] => [...new Set(values)];

/** A table in Markdown; the first row is its head. */
export function markdown([head, ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head!), line(head!.map(() => '---')), ...rows.map(line)].join('\n');
}
