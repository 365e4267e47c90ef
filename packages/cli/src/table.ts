import type { Inspection } from './inspect';
import type { Json } from './plain';

/** What {@link Inspection} says, for a terminal. */
export function tableOf(inspection: Inspection): string {
  const { file, bytes, format, root, className, config, emaLength, imagesSeen, values, tensors, metadata } = inspection;
  const facts: [string, string | null][] = [
    ['file', `${printable(file)}, ${format}, ${sizeOf(bytes)}`],
    ['tensors', `${tensors.length} of ${values.toLocaleString('en')} values${root ? `, at ${printable(root)}` : ''}`],
    ['class', className && printable(className)],
    ['config', config === null ? null : brief(config)],
    ['EMA length', emaLength === null ? null : String(emaLength)],
    ['images seen', imagesSeen === null ? null : imagesSeen.toLocaleString('en')],
    ['beside them', JSON.stringify(metadata) === '{}' ? null : brief(metadata)],
  ];
  const rows = tensors.map(({ name, dtype, shape, bytes: size }) => [
    printable(name),
    dtype,
    `[${shape.join(', ')}]`,
    sizeOf(size),
  ]);
  return [
    ...facts.filter(([, fact]) => fact !== null).map(([name, fact]) => `${name.padEnd(12)} ${fact}`),
    '',
    ...aligned([['name', 'type', 'shape', 'size'], ...rows]),
  ].join('\n');
}

/** Rows with columns of one width each, the last to the right. */
export function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => rows.reduce((width, row) => Math.max(width, row[column]!.length), 0));
  return rows.map((row) =>
    row.map((cell, i) => (i === row.length - 1 ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!))).join('  '),
  );
}

/** A value in one line of bounded length: `--json` has the whole. */
function brief(value: Json): string {
  const text = printable(JSON.stringify(value));
  return text.length > 500 ? `${text.slice(0, 500)}…` : text;
}

/** A number of bytes, in the largest unit that it has one of. */
export function sizeOf(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  const unit = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${unit === 0 ? bytes : (bytes / 1024 ** unit).toFixed(1)} ${units[unit]}`;
}

/** A name of a file without what a terminal would obey. */
export const printable = (text: string) => text.replace(/[\p{Cc}\p{Cf}]/gu, '\uFFFD');
