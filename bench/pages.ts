import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { markdownTable } from '../tools/testing/src/markdown';
import { originText } from '../tools/testing/src/origin';
import { type Curves, curvesPlot, curvesTable } from './curves';
import { bestOf, type Results, shown, speedup, table } from './results';
import { type Rooflines, rooflineTable } from './roofline';
import { type Scaling, scalingTable } from './scaling';
import { commandOf, type Printed, type Script, scripts } from './scripts';
import { type Suite, suites } from './suite';

const inRepository = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** Where results are kept. */
export const resultsFolder = inRepository('bench/results');

const allResults = 'bench/results/README.md';

/** The pages that have blocks of results, from the repository's root. */
export const pages = execFileSync('git', ['ls-files', '*.md'], { encoding: 'utf8', cwd: inRepository('') })
  .split('\n')
  .filter((page) => page && page !== allResults && readFileSync(inRepository(page), 'utf8').includes('<!-- bench: '));

/** What was measured of a name, if it was. */
async function read<T>(name: string): Promise<T | undefined> {
  const text = await readFile(join(resultsFolder, `${name}.json`), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as T);
}

/** Keeps what was measured of a name. */
export const keep = (name: string, results: object) =>
  writeFile(join(resultsFolder, `${name}.json`), `${JSON.stringify(results, null, 1)}\n`);

/** What has a file of results and a block. */
const measured = [
  ...suites.map(({ name }) => name),
  'curves',
  'roofline',
  'scaling',
  ...scripts.map(({ name }) => name),
];

type Measurement = readonly [suite: Suite, results: Results];

/** A case in words; a suite's only one is the suite. */
const titleOf = ({ title }: Suite, { cases }: Results, name: string) =>
  Object.keys(cases).length === 1 ? title : `${title}: ${name}`;

/** Everything that is measured, the best of this library beside the best rival. */
function shortTable(measurements: readonly Measurement[]): string {
  const rows = measurements.flatMap(([suite, results]) =>
    Object.entries(results.cases).map(([name, row]) => {
      const { unit } = suite;
      const { ours, theirs } = bestOf(suite, row);
      const cell = (best = ours) => (best ? `${shown(best.value)} ${unit} (${best.participant})` : '');
      const ratio = speedup(suite, row);
      return [titleOf(suite, results, name), cell(), theirs ? cell(theirs) : '', ratio ? `${ratio.toFixed(2)} ×` : ''];
    }),
  );
  return markdownTable(['what', 'this library, the best backend', 'instead, the best', 'faster'], rows);
}

/** A suite's least peak memory on either side, among the participants that measured every case that both sides have. */
function memory(suite: Suite, { cases, peak }: Results) {
  const rows = Object.values(cases);
  const shared = rows.filter((row) => speedup(suite, row) !== undefined);
  const complete = Object.entries(peak).filter(([name]) => shared.length > 0 && shared.every((row) => name in row));
  return bestOf({ ...suite, unit: 'MiB' }, Object.fromEntries(complete.map(([name, median]) => [name, { median }])));
}

/** The cases in which this library is not the fastest or takes more memory, by how much, and why. */
function slowerList(measurements: readonly Measurement[]): string {
  const because = ({ reasons = {} }: Suite, name: string) => reasons[name] ?? 'Why has not been looked into.';
  const lines = measurements.flatMap(([suite, results]) => {
    const slow = Object.entries(results.cases).flatMap(([name, row]) => {
      const ratio = speedup(suite, row);
      if (!ratio || ratio >= 1) return [];
      const { theirs } = bestOf(suite, row);
      return [
        `- **${titleOf(suite, results, name)}** takes ${shown(1 / ratio)} times what ${theirs!.participant} takes. ${because(suite, name)}`,
      ];
    });
    const { ours, theirs } = memory(suite, results);
    if (ours && theirs && ours.value > theirs.value) {
      const times = `${shown(ours.value)} MiB, ${shown(ours.value / theirs.value)} times those of ${theirs.participant}`;
      slow.push(`- **${suite.title}: peak memory** is ${times}. ${because(suite, 'memory')}`);
    }
    return slow;
  });
  return lines.join('\n');
}

/** Everything about a suite's results that its table does not say. */
function notes(suite: Suite, { rounds, origin, about, deviation, failed }: Results): string {
  const same = Object.values(deviation);
  return [
    `Medians of ${rounds} (least–greatest); rivals in italics. ${originText(origin)}.`,
    ...(same.length > 1
      ? [`What participants computed agrees within ${Math.max(...same)} of the largest value, bfloat16 included.`]
      : []),
    ...Object.entries(failed).map(([name, why]) => `Not measured: ${name} (${why}).`),
    ...[...new Set(Object.values(about))].map((what) => {
      const names = Object.keys(about).filter((name) => about[name] === what);
      return `${what}: ${names.join('; ')}.`;
    }),
    `\`pnpm bench --only ${suite.name}\`.`,
  ].join(' ');
}

/** Every block of results, by name, of what has been measured. */
export async function blocks(): Promise<Record<string, string>> {
  const measurements: Measurement[] = [];
  for (const suite of suites) {
    const results = await read<Results>(suite.name);
    if (results) measurements.push([suite, results]);
  }
  const [curves, rooflines, scaling] = [
    await read<Curves>('curves'),
    await read<Rooflines>('roofline'),
    await read<Scaling>('scaling'),
  ];
  const printed: Record<string, string> = {};
  for (const script of scripts) {
    const found = await read<Printed>(script.name);
    if (found) printed[script.name] = printedText(script, found);
  }
  return {
    ...Object.fromEntries(measured.map((name) => [name, 'Not measured yet.'])),
    elsewhere: elsewhereTable(),
    short: shortTable(measurements),
    slower: slowerList(measurements),
    ...Object.fromEntries(
      measurements.map(([suite, results]) => [suite.name, `${table(suite, results)}\n\n${notes(suite, results)}`]),
    ),
    ...(curves && {
      curves: `${curvesTable(curves)}\n\nMedians of ${curves.rounds}. ${originText(curves.origin)}. ${curves.about}.`,
    }),
    ...(rooflines && {
      roofline: `${rooflines.networks.map(rooflineTable).join('\n\n')}\n\n${originText(rooflines.origin)}.`,
    }),
    ...(scaling && { scaling: `${scalingTable(scaling)}\n\n${originText(scaling.origin)}.` }),
    ...printed,
  };
}

const printedText = (script: Script, { origin, text }: Printed) =>
  `${text}\n\n${originText(origin)}. \`${commandOf(script)}\`.`;

/** Which of the packages' own measurements stand on which pages, as links from `docs`. */
function elsewhereTable(): string {
  const link = (page: string) => `[${page.replace(/^packages\/(.*)\/README.md$/, '@cm/$1')}](../${page})`;
  const rows = scripts.map(({ name, what }) => {
    const having = pages.filter((page) => readFileSync(inRepository(page), 'utf8').includes(`<!-- bench: ${name} -->`));
    return [what, having.map(link).join(', '), `\`pnpm bench --only ${name}\``];
  });
  return markdownTable(['what', 'page', 'command'], rows, 3);
}

/** A page whose blocks, between `<!-- bench: name -->` and `<!-- /bench -->`, are those given. @throws Error naming a block that there is not */
export function withBlocks(page: string, given: Readonly<Record<string, string>>): string {
  return page.replaceAll(
    /(<!-- bench: ([\w-]+) -->\n)[\s\S]*?(<!-- \/bench -->)/g,
    (_, begin: string, name: string, end) => {
      const block = given[name];
      if (block === undefined) throw new Error(`there is no block ${name}`);
      return `${begin}\n${block}\n\n${end}`;
    },
  );
}

/** The page of all results. */
export function resultsPage(given: Readonly<Record<string, string>>): string {
  const parts = measured.map((name) => `## ${name}\n\n${given[name]}`);
  return `# Measurements

Written by \`pnpm bench\` from the JSON files beside it. “faster” compares the best of this library with the best rival; more than 1 is faster.

${parts.join('\n\n')}
`;
}

/** Writes every page from the results that are kept. */
export async function writePages(): Promise<void> {
  const given = await blocks();
  await writeFile(join(resultsFolder, 'README.md'), resultsPage(given));
  for (const page of pages) {
    const path = inRepository(page);
    await writeFile(path, withBlocks(await readFile(path, 'utf8'), given));
  }
  const curves = await read<Curves>('curves');
  if (curves) await writeFile(inRepository('docs/images/cost-curves.svg'), await curvesPlot(curves));
}
