import { execFileSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import { measureCurves } from './curves';
import { type Measuring, start } from './process';
import { makePython } from './python';
import { commit, type Measured, machine, type Results, summary, table } from './results';
import { type Suite, suites } from './suite';

const folder = fileURLToPath(new URL('results', import.meta.url));
const names = [...suites.map(({ name }) => name), 'curves', 'roofline'];

const options = new Command('pnpm bench')
  .description('Measures this library beside what one would pick instead, all taking turns, and writes bench/results.')
  .option('--only <names>', `some of ${names.join(', ')}, separated by commas`, known, names)
  .option('--rounds <n>', 'turns of each', Number, 5)
  .option('--python <path>', 'an interpreter with torch, torch-fidelity, scipy and safetensors; default: one is made')
  .parse()
  .opts<{ only: string[]; rounds: number; python?: string }>();

function known(text: string): string[] {
  const chosen = text.split(',').map((name) => name.trim());
  for (const name of chosen) {
    if (!names.includes(name)) throw new InvalidArgumentError(`unknown: ${name}, expected ${names.join(', ')}`);
  }
  return chosen;
}

/** Measures a suite: in every round each participant takes each case once. */
async function measure(suite: Suite, python: string): Promise<Results> {
  const values: Record<string, Record<string, number[]>> = {};
  const peak: Record<string, number> = {};
  const failed: Record<string, string> = {};
  const running: Record<string, Measuring> = {};
  for (const [name, participant] of Object.entries(suite.participants)) {
    try {
      running[name] = await start(participant, python);
    } catch (error) {
      failed[name] = (error as Error).message;
    }
  }
  const cases = [...new Set(Object.values(running).flatMap((participant) => participant.cases))];
  for (let round = 0; round < options.rounds; round++) {
    for (const name of cases) {
      for (const [participant, { cases: own, measure }] of Object.entries(running)) {
        if (!own.includes(name) || failed[participant]) continue;
        try {
          const value = await measure(name);
          values[name] ??= {};
          values[name][participant] ??= [];
          values[name][participant].push(value);
          console.error(
            `${suite.name}, round ${round + 1}/${options.rounds}, ${name}, ${participant}: ${value.toPrecision(4)}`,
          );
        } catch (error) {
          failed[participant] = `${name}: ${(error as Error).message}`;
        }
      }
    }
  }
  for (const [participant, { measure, end }] of Object.entries(running)) {
    if (!failed[participant]) peak[participant] = Math.round(await measure('#peak'));
    end();
  }
  for (const [participant, why] of Object.entries(failed))
    console.error(`${suite.name}: ${participant} failed: ${why}`);
  const summaries = (row: Record<string, number[]>): Record<string, Measured> =>
    Object.fromEntries(Object.entries(row).map(([participant, measured]) => [participant, summary(measured)]));
  return {
    suite: suite.name,
    unit: suite.unit,
    rounds: options.rounds,
    machine: machine(),
    commit: commit(),
    cases: Object.fromEntries(Object.entries(values).map(([name, row]) => [name, summaries(row)])),
    peak,
    failed,
  };
}

/** The page of all results that there are. */
async function page(): Promise<string> {
  const parts: string[] = [];
  for (const suite of suites) {
    const text = await readFile(join(folder, `${suite.name}.json`), 'utf8').catch(() => undefined);
    if (!text) continue;
    const results = JSON.parse(text) as Results;
    const failed = Object.entries(results.failed).map(([name, why]) => `Not measured: ${name} (${why}).`);
    const where = `Medians of ${results.rounds} (least–greatest), at ${results.commit}: ${results.machine}.`;
    parts.push([`## ${suite.name}`, table(suite, results), [where, ...failed].join(' ')].join('\n\n'));
  }
  for (const name of ['curves', 'roofline']) {
    const text = await readFile(join(folder, `${name}.md`), 'utf8').catch(() => undefined);
    if (text) parts.push(`## ${name}\n\n${text.trim()}`);
  }
  return `# Measurements

Written by \`pnpm bench\`. “faster”: the fastest rival's time over this library's fastest; more than 1 is faster.

${parts.join('\n\n')}
`;
}

await mkdir(folder, { recursive: true });
const python = options.python ?? makePython();
for (const suite of suites.filter(({ name }) => options.only.includes(name))) {
  const results = await measure(suite, python);
  await writeFile(join(folder, `${suite.name}.json`), `${JSON.stringify(results, null, 1)}\n`);
  console.log(table(suite, results));
}
if (options.only.includes('curves')) await measureCurves(folder, options.rounds);
if (options.only.includes('roofline')) {
  const script = fileURLToPath(new URL('roofline.ts', import.meta.url));
  const of = (...network: string[]) =>
    execFileSync(process.execPath, ['--import', 'tsx', script, ...network], { encoding: 'utf8' });
  const text = `\`\`\`text\n${of('edm2-s', '2')}\n${of('ddpmpp', '4')}\`\`\`\n\nAt ${commit()}: ${machine()}.\n`;
  await writeFile(join(folder, 'roofline.md'), text);
}
await writeFile(join(folder, 'README.md'), await page());
