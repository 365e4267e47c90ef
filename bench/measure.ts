import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { origin } from '../tools/testing/src/origin';
import { type Measuring, start } from './process';
import { type Measured, type Results, summary } from './results';
import type { Suite } from './suite';

/** How far what a participant computes may be from what the first rival computes; in bfloat16, the second. */
const TOLERANCES = [1e-3, 0.1] as const;

/** How a suite is measured. */
export interface MeasureOptions {
  /** An interpreter with what is compared. */
  readonly python: string;
  /** Turns of each. Default: the suite's. */
  readonly rounds?: number | undefined;
  readonly onProgress?: (text: string) => void;
}

/**
 * Measures a suite: in every round each participant takes each case once, in another direction every second round. A participant that fails, or
 * computes something else than the first rival, is left out and named.
 */
export async function measureSuite(suite: Suite, { python, rounds, onProgress }: MeasureOptions): Promise<Results> {
  const turns = rounds ?? suite.rounds;
  const say = (text: string) => onProgress?.(`${suite.name}: ${text}`);
  const began = origin();
  const values: Record<string, Record<string, number[]>> = {};
  const failed: Record<string, string> = {};
  const running: Record<string, Measuring> = {};
  const fails = (name: string, error: unknown) => {
    failed[name] = (error as Error).message;
    say(`${name} failed: ${failed[name]}`);
  };
  const inputs = await mkdtemp(join(tmpdir(), 'bench-'));
  try {
    if (suite.inputs) {
      const script = fileURLToPath(new URL(suite.inputs, import.meta.url));
      await promisify(execFile)(process.execPath, ['--import', 'tsx', script, inputs]);
    }
    for (const [name, participant] of Object.entries(suite.participants)) {
      try {
        running[name] = await start(participant, { python, inputs });
      } catch (error) {
        fails(name, error);
      }
    }
    const cases = [...new Set(Object.values(running).flatMap((participant) => participant.cases))];
    for (let round = 0; round < turns; round++) {
      for (const name of cases) {
        const order = Object.entries(running);
        for (const [participant, { cases: own, measure }] of round % 2 ? order.reverse() : order) {
          if (!own.includes(name) || failed[participant]) continue;
          try {
            const ms = await measure(name);
            const value = suite.items ? (1000 * suite.items) / ms : ms;
            values[name] ??= {};
            values[name][participant] ??= [];
            values[name][participant].push(value);
            say(`round ${round + 1}/${turns}, ${name}, ${participant}: ${value.toPrecision(4)} ${suite.unit}`);
          } catch (error) {
            fails(participant, new Error(`${name}: ${(error as Error).message}`));
          }
        }
      }
    }
    const peak: Record<string, number> = {};
    const checks: Record<string, readonly number[]> = {};
    for (const [name, { measure, check }] of Object.entries(running)) {
      if (failed[name]) continue;
      try {
        peak[name] = Math.round(await measure('#peak'));
        checks[name] = await check();
      } catch (error) {
        fails(name, error);
      }
    }
    const deviation = deviations(suite, checks);
    for (const [name, value] of Object.entries(deviation)) {
      const tolerance = TOLERANCES[suite.participants[name]!.coarse ? 1 : 0];
      // NaN too.
      if (!(value <= tolerance)) {
        fails(name, new Error(`what it computed differs by ${value.toPrecision(2)}, expected ${tolerance} at most`));
      }
    }
    const summaries = (row: Record<string, number[]>): Record<string, Measured> =>
      Object.fromEntries(
        Object.entries(row)
          .filter(([participant]) => !failed[participant])
          .map(([participant, measured]) => [participant, summary(measured)]),
      );
    return {
      suite: suite.name,
      unit: suite.unit,
      rounds: turns,
      origin: began,
      about: Object.fromEntries(Object.entries(running).map(([name, { about }]) => [name, about])),
      cases: Object.fromEntries(Object.entries(values).map(([name, row]) => [name, summaries(row)])),
      peak: Object.fromEntries(Object.entries(peak).filter(([name]) => !failed[name])),
      deviation,
      failed,
    };
  } finally {
    for (const { end } of Object.values(running)) end();
    await rm(inputs, { recursive: true, force: true });
  }
}

/** How far each participant's numbers are from those of the first rival that has any, relative to the largest of these. */
function deviations(suite: Suite, checks: Readonly<Record<string, readonly number[]>>): Record<string, number> {
  const having = Object.entries(checks).filter(([, numbers]) => numbers.length > 0);
  const expected = having.find(([name]) => suite.participants[name]!.rival)?.[1];
  if (!expected) return {};
  const scale = Math.max(...expected.map(Math.abs));
  return Object.fromEntries(
    having.map(([name, numbers]) => {
      const differences = expected.map((value, i) => Math.abs(value - (numbers[i] ?? Number.NaN)) / scale);
      return [name, Number(Math.max(...differences).toPrecision(2))];
    }),
  );
}
