import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '@cm/checkpoints/node';
import * as vega from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import { type Origin, origin } from '../../../tools/testing/src/origin';
import { openWorkbench, type Subject, type Workbench } from './workbench';

/** A part of an experiment that is computed at once, and not again. */
export interface PlannedRun<Result> {
  readonly name: string;
  make(bench: Workbench, onProgress: (text: string) => void): Promise<Result>;
}

/** What every experiment's settings say: how many of the images there are, as training images and as references. */
export interface CommonSettings {
  readonly images: number;
}

/** An experiment: what is to be run, and how its results become a table and a plot. */
export interface Study<Settings extends CommonSettings, Result> {
  readonly name: string;
  readonly title: string;
  readonly settings: Readonly<Record<'full' | 'quick', Settings>>;
  plan(settings: Settings): readonly PlannedRun<Result>[];
  /** Markdown. */
  table(results: readonly Result[]): string;
  plot(results: readonly Result[]): TopLevelSpec;
}

/** Where an experiment leaves its files. */
export interface Folders {
  readonly results: string;
  readonly images: string;
}

interface Stored<Result> {
  readonly settings: unknown;
  readonly backend: string;
  readonly runs: Record<string, Result>;
  /** Where and of which commit each run was made; runs from before this was kept have none. */
  readonly origins: Record<string, Origin>;
}

/**
 * Makes the runs of an experiment that its results file lacks, adding each as it ends, then the plot. Returns the table.
 *
 * @throws Error when the file holds results of other settings
 */
export async function runStudy<Settings extends CommonSettings, Result>(
  study: Study<Settings, Result>,
  settings: Settings,
  {
    subject,
    folders,
    backend,
    onProgress,
  }: { subject: Subject; folders: Folders; backend: string; onProgress: (text: string) => void },
): Promise<string> {
  await mkdir(folders.results, { recursive: true });
  await mkdir(folders.images, { recursive: true });
  const file = join(folders.results, `${study.name}.json`);
  const found: Stored<Result> = existsSync(file)
    ? (JSON.parse(await readFile(file, 'utf8')) as Stored<Result>)
    : { settings, backend, runs: {}, origins: {} };
  if (comparable(found.settings) !== comparable(settings)) {
    throw new Error(`${file} holds results of other settings: delete it, or name another folder with --out`);
  }

  const stored = { ...found, settings, origins: { ...found.origins } };
  const plan = study.plan(settings);
  const missing = plan.filter(({ name }) => !Object.hasOwn(stored.runs, name));
  if (missing.length > 0) {
    const bench = await openWorkbench(subject, settings.images);
    for (const [i, { name, make }] of missing.entries()) {
      const done = plan.length - missing.length + i;
      stored.origins[name] = origin();
      stored.runs[name] = await make(bench, (text) => onProgress(`${done + 1}/${plan.length} ${name}: ${text}`));
      await writeFileAtomically(file, Buffer.from(`${json(stored)}\n`));
    }
    bench.dispose();
  }

  const results = plan.map(({ name }) => stored.runs[name]!);
  const view = new vega.View(vega.parse(compile(study.plot(results)).spec), { renderer: 'none' });
  await writeFile(join(folders.images, `study-${study.name}.svg`), `${await view.toSVG()}\n`);
  return study.table(results);
}

/** Further seeds add runs to those that are there; every other setting changes what a run is. */
const comparable = (settings: unknown) =>
  JSON.stringify(settings, (name, value) => (name === 'seeds' ? undefined : value));

/** Six digits are more than any of these numbers means. */
const json = (value: unknown) =>
  JSON.stringify(value, (_, entry) => (typeof entry === 'number' ? Number(entry.toPrecision(6)) : entry), 1);
