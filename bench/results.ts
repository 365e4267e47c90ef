import { markdownTable } from '../tools/testing/src/markdown';
import type { Origin } from '../tools/testing/src/origin';
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
  readonly origin: Origin;
  /** What each participant runs on: versions and threads. */
  readonly about: Readonly<Record<string, string>>;
  /** By case, then by participant. */
  readonly cases: Readonly<Record<string, Readonly<Record<string, Measured>>>>;
  /** Largest resident memory by participant, MiB. */
  readonly peak: Readonly<Record<string, number>>;
  /** Largest relative difference of what a participant computed from what the first rival computed. */
  readonly deviation: Readonly<Record<string, number>>;
  /** Participants that could not measure, and why. */
  readonly failed: Readonly<Record<string, string>>;
}

/** Least, middle and greatest of some values. */
export function summary(values: readonly number[]): Measured {
  const sorted = [...values].sort((a, b) => a - b);
  const digits = (value: number) => Number(value.toPrecision(4));
  const half = sorted.length >> 1;
  return {
    minimum: digits(sorted[0]!),
    median: digits(sorted.length % 2 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2),
    maximum: digits(sorted.at(-1)!),
  };
}

/** Whether more of a unit is better: rates are told a second. */
const isRate = (unit: string) => unit.endsWith('/s');

/** A number with the digits that mean something, grouped in thousands. */
export const shown = (value: number) =>
  value.toLocaleString('en-US', { maximumFractionDigits: value < 10 ? 2 : value < 100 ? 1 : 0 });

/** What is best of a case, on one side. */
export interface Best {
  readonly participant: string;
  readonly value: number;
}

/** The best of a case among this library's participants, and among its rivals. */
export function bestOf(
  { participants, unit }: Suite,
  row: Readonly<Record<string, { readonly median: number }>>,
): { ours?: Best; theirs?: Best } {
  const best = (rival: boolean): Best | undefined => {
    const own = Object.entries(row)
      .filter(([name]) => participants[name] && (participants[name].rival ?? false) === rival)
      .map(([participant, { median: value }]) => ({ participant, value }))
      .sort((a, b) => (isRate(unit) ? b.value - a.value : a.value - b.value));
    return own[0];
  };
  const [ours, theirs] = [best(false), best(true)];
  return { ...(ours && { ours }), ...(theirs && { theirs }) };
}

/** How many times faster this library's best is than the best rival; undefined where one side has none. */
export function speedup(suite: Suite, row: Readonly<Record<string, { readonly median: number }>>): number | undefined {
  const { ours, theirs } = bestOf(suite, row);
  if (!ours || !theirs) return undefined;
  return isRate(suite.unit) ? ours.value / theirs.value : theirs.value / ours.value;
}

/** A suite's table: a line a participant, medians with minimum and maximum; the last lines say how much faster the best is than the best rival. */
export function table(suite: Suite, { cases, peak, unit }: Results): string {
  const names = Object.keys(cases);
  const measured = Object.keys(suite.participants).filter((name) => names.some((each) => name in cases[each]!));
  const head = [suite.title, ...names.map((name) => `${name}, ${unit}`), 'peak memory, MiB'];
  const rows = measured.map((name) => [
    suite.participants[name]!.rival ? `_${name}_` : name,
    ...names.map((each) => {
      const value = cases[each]![name];
      return value ? `${shown(value.median)} (${shown(value.minimum)}–${shown(value.maximum)})` : '';
    }),
    shown(peak[name] ?? Number.NaN).replace('NaN', ''),
  ]);
  const ratios = names.map((name) => speedup(suite, cases[name]!));
  const faster = ['**faster**', ...ratios.map((ratio) => (ratio ? `${ratio.toFixed(2)} ×` : '')), ''];
  return markdownTable(head, [...rows, faster]);
}
