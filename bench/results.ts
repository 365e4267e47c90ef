import { execFileSync } from 'node:child_process';
import { cpus, totalmem } from 'node:os';
import type { Suite } from './suite';

/** What came out for one participant and case. */
export interface Measured {
  readonly minimum: number;
  readonly median: number;
  readonly maximum: number;
}

/** A suite's results, as they are kept. */
export interface Results {
  readonly suite: string;
  readonly unit: string;
  readonly rounds: number;
  readonly machine: string;
  readonly commit: string;
  /** By case, then by participant. */
  readonly cases: Readonly<Record<string, Readonly<Record<string, Measured>>>>;
  /** Largest resident memory by participant, MiB. */
  readonly peak: Readonly<Record<string, number>>;
  /** Participants that could not measure, and why. */
  readonly failed: Readonly<Record<string, string>>;
}

/** Least, middle and greatest of some values. */
export function summary(values: readonly number[]): Measured {
  const sorted = [...values].sort((a, b) => a - b);
  const digits = (value: number) => Number(value.toPrecision(4));
  return {
    minimum: digits(sorted[0]!),
    median: digits(sorted[sorted.length >> 1]!),
    maximum: digits(sorted.at(-1)!),
  };
}

/** Where measurements were made. */
export const machine = () =>
  `${cpus().length} × ${cpus()[0]?.model.trim() || process.arch}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`;

/** The commit that is checked out. */
export const commit = () => execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();

/** A Markdown table of a suite: medians with minimum and maximum; the last column is the fastest rival's time over this library's fastest. */
export function table({ title, participants, unit }: Suite, results: Results): string {
  const measured = Object.keys(participants).filter((name) => Object.values(results.cases).some((row) => name in row));
  const head = [`${title} (${unit})`, ...measured, 'faster'];
  const rows = Object.entries(results.cases).map(([name, row]) => {
    const fastest = (rival: boolean) =>
      Math.min(
        ...Object.entries(row)
          .filter(([participant]) => (participants[participant]?.rival ?? false) === rival)
          .map(([, { median }]) => median),
      );
    const ratio = fastest(true) / fastest(false);
    const cells = measured.map((participant) => {
      const value = row[participant];
      return value ? `${value.median} (${value.minimum}–${value.maximum})` : '';
    });
    return [name, ...cells, Number.isFinite(ratio) && ratio > 0 ? `${ratio.toFixed(2)} ×` : ''];
  });
  const peak = ['peak resident memory, MiB', ...measured.map((name) => String(results.peak[name] ?? '')), ''];
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '--:'))), ...[...rows, peak].map(line)].join('\n');
}
