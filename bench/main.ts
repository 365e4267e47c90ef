import { mkdir } from 'node:fs/promises';
import { Command, InvalidArgumentError } from 'commander';
import { measureCurves } from './curves';
import { measureSuite } from './measure';
import { keep, resultsFolder, writePages } from './pages';
import { makePython } from './python';
import { table } from './results';
import { measureRooflines } from './roofline';
import { measureScaling } from './scaling';
import { runScript, scripts } from './scripts';
import { suites } from './suite';

/** What is measured, by name: each keeps its results in a file of that name. */
const measurements: Readonly<Record<string, (options: Options) => Promise<object>>> = {
  ...Object.fromEntries(
    suites.map((suite) => [
      suite.name,
      async ({ python, rounds }: Options) => {
        const results = await measureSuite(suite, {
          python: python ?? makePython(),
          rounds,
          onProgress: (text) => console.error(text),
        });
        console.log(table(suite, results));
        return results;
      },
    ]),
  ),
  curves: ({ rounds = 3 }) => measureCurves(rounds),
  roofline: measureRooflines,
  scaling: () => measureScaling(),
  ...Object.fromEntries(
    scripts.map((script) => [
      script.name,
      async ({ python }: Options) => {
        const printed = await runScript(script, () => python ?? makePython());
        console.log(printed.text);
        return printed;
      },
    ]),
  ),
};
const names = Object.keys(measurements);

interface Options {
  readonly only?: readonly string[];
  readonly pages: boolean;
  readonly rounds?: number;
  readonly python?: string;
}

const options = new Command('pnpm bench')
  .description(
    'Measures this library beside what one would pick instead, all taking turns; writes bench/results and the tables of the pages that state them.',
  )
  .option('--only <names>', `some of ${names.join(', ')}, separated by commas; default: all`, known)
  .option('--rounds <n>', 'turns of each; default: 3 or 5, as long as they take', wholeNumber)
  .option(
    '--python <path>',
    'an interpreter with torch, torch-fidelity, transformers, scipy, threadpoolctl and safetensors; default: one is made',
  )
  .option('--pages', 'writes the pages from the results that are kept, and measures nothing', false)
  .addHelpText(
    'after',
    '\nPackages have to be built (pnpm build) and backends set up (pnpm torch:setup, pnpm tensorflow:setup). All of it takes about forty minutes on two cores.',
  )
  .parse()
  .opts<Options>();

function known(text: string): string[] {
  const chosen = text.split(',').map((name) => name.trim());
  for (const name of chosen) {
    if (!names.includes(name)) throw new InvalidArgumentError(`unknown: ${name}, expected ${names.join(', ')}`);
  }
  return chosen;
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!(Number.isInteger(value) && value >= 1)) throw new InvalidArgumentError('expected a whole number from 1');
  return value;
}

await mkdir(resultsFolder, { recursive: true });
const begun = performance.now();
const chosen = options.pages ? [] : (options.only ?? names);
for (const [i, name] of chosen.entries()) {
  const minutes = ((performance.now() - begun) / 60_000).toFixed(1);
  console.error(`── ${name} (${i + 1}/${chosen.length}, after ${minutes} min)`);
  try {
    await keep(name, await measurements[name]!(options));
    await writePages();
  } catch (error) {
    // The others are measured all the same.
    console.error(`${name} failed: ${(error as Error).stack}`);
    process.exitCode = 1;
  }
}
if (options.pages) await writePages();
