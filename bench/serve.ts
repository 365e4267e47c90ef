import { createInterface } from 'node:readline';

/** Measures once, in milliseconds. */
export type Case = () => number | Promise<number>;

/** What a measuring process says of itself. */
export interface Serving {
  /** What it runs on, in words: versions and threads. */
  readonly about?: string;
  /** Numbers that every participant of the suite must find too. */
  readonly check?: () => readonly number[] | Promise<readonly number[]>;
  /** The largest resident memory, MiB. Default: this process's. */
  readonly peak?: () => number;
}

/**
 * What a measuring process does: it announces its cases, then answers every line with the measurement of the case of that name, `#peak` with
 * the largest resident memory that it had, in MiB, and `#check` with what it computed.
 */
export async function serve(
  cases: Readonly<Record<string, Case>>,
  { about = `Node ${process.versions.node}`, check = () => [], peak = ownPeak }: Serving = {},
): Promise<void> {
  const say = (value: object) => console.log(JSON.stringify(value));
  say({ cases: Object.keys(cases), about });
  for await (const name of createInterface({ input: process.stdin })) {
    try {
      if (name === '#peak') say({ value: peak() });
      else if (name === '#check') say({ check: await check() });
      else say({ value: await cases[name]!() });
    } catch (error) {
      say({ error: (error as Error).message });
    }
  }
}

const ownPeak = () => process.resourceUsage().maxRSS / 1024;

/**
 * A case: what it prepares when it is first asked, and the milliseconds that what it prepared takes, at least 0.2 s of it or one run, after one
 * that does not count, where nothing else has warmed it up.
 */
export function timed(prepare: () => (() => unknown) | Promise<() => unknown>, { warm = false } = {}): Case {
  let run: (() => unknown) | undefined;
  return async () => {
    if (!run) {
      run = await prepare();
      if (!warm) await run();
    }
    const begun = performance.now();
    let runs = 0;
    do {
      await run();
      runs++;
    } while (performance.now() - begun < 200);
    return (performance.now() - begun) / runs;
  };
}
