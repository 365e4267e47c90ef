import { createInterface } from 'node:readline';

/** Measures once, in the suite's unit. */
export type Case = () => number | Promise<number>;

/**
 * What a measuring process does: it announces its cases, then answers every line with the measurement of the case of that name, and `#peak`
 * with the largest resident memory that it had, in MiB.
 */
export async function serve(cases: Readonly<Record<string, Case>>): Promise<void> {
  const say = (value: object) => console.log(JSON.stringify(value));
  say({ cases: Object.keys(cases) });
  for await (const name of createInterface({ input: process.stdin })) {
    try {
      say({ value: name === '#peak' ? process.resourceUsage().maxRSS / 1024 : await cases[name]!() });
    } catch (error) {
      say({ error: (error as Error).message });
    }
  }
}

/** A case: what it prepares when it is first asked, and the milliseconds that what it prepared takes, at least 0.2 s of it or one run. */
export function timed(prepare: () => (() => unknown) | Promise<() => unknown>): Case {
  let run: (() => unknown) | undefined;
  return async () => {
    if (!run) {
      run = await prepare();
      await run();
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
