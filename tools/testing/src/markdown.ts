/** A Markdown table, laid out as a formatter would: so many columns of text to the left, the others to the right. */
export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
  ofText = 1,
): string {
  const cells = [head, ...rows].map((row) => row.map(String));
  const widths = head.map((_, column) => Math.max(3, ...cells.map((row) => [...row[column]!].length)));
  const line = (row: readonly string[]) => `| ${row.join(' | ')} |`;
  const padded = cells.map((row) =>
    line(row.map((cell, i) => (i < ofText ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))),
  );
  const rule = line(widths.map((width, i) => (i < ofText ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)));
  return [padded[0], rule, ...padded.slice(1)].join('\n');
}

/** A Markdown table of named rows, whose cells are named too; the corner is the first column's head. */
export function tableOf(corner: string, rows: Readonly<Record<string, Readonly<Record<string, string | number>>>>) {
  const columns = [...new Set(Object.values(rows).flatMap((row) => Object.keys(row)))];
  return markdownTable(
    [corner, ...columns],
    Object.entries(rows).map(([name, row]) => [name, ...columns.map((column) => row[column] ?? '')]),
  );
}
