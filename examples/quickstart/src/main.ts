import { existsSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { writeFileAtomically } from '@cm/checkpoints/node';
import { origin } from '../../../tools/testing/src/origin';
import { type Job, jobName, runJobs } from './jobs';
import { type Options, parseOptions } from './options';
import { progressView } from './progress';
import { reportHtml } from './report';
import { readSummary } from './results';
import { terminalTable } from './terminal-table';

async function main(): Promise<number> {
  const options = parseOptions(process.argv);
  const started = performance.now();
  await openRunFolder(options);

  const jobs: Job[] = [...options.methods.map((method) => ({ kind: 'tune', method }) as const), { kind: 'baseline' }];
  const unfinished = jobs.filter((job) => !existsSync(join(options.out, jobName(job), 'result.json')));

  const controller = new AbortController();
  process.on('SIGINT', () => controller.abort());
  process.on('SIGTERM', () => controller.abort());
  const view = progressView();
  const outcome = await runJobs(unfinished, options, {
    parallel: Math.min(2, availableParallelism()),
    signal: controller.signal,
    onProgress: (job, progress) => view.update(jobName(job), progress),
  });
  view.stop();

  if (outcome.type === 'failed') throw new Error(outcome.message);
  if (outcome.type === 'stopped') {
    console.log('\nStopped and saved. The same command continues.');
    return 130;
  }

  const summary = await readSummary(options);
  await writeFileAtomically(join(options.out, 'report.html'), Buffer.from(await reportHtml(options.out, summary)));
  console.log(`\n${terminalTable(summary)}\n`);
  console.log(
    `${((performance.now() - started) / 1000).toFixed(0)} s. Pictures, curves and the variance of the targets:`,
  );
  console.log(relative(process.cwd(), join(options.out, 'report.html')));
  return 0;
}

/** Makes the run folder, or checks that the one that is there belongs to a run of the same settings. */
async function openRunFolder({ out, fresh, ...settings }: Options): Promise<void> {
  const file = join(out, 'settings.json');
  // Only a folder that this command made is ever deleted.
  if (fresh && existsSync(file)) await rm(out, { recursive: true });
  const { methods: _, ...fixed } = settings;
  const wanted = JSON.stringify(fixed, null, 2);
  if (existsSync(file)) {
    const found = await readFile(file, 'utf8');
    if (found.trim() !== wanted) {
      throw new Error(
        `${out} holds a run with other settings (${found.replace(/\s+/g, ' ').trim()}): choose another --out, or --fresh to start anew`,
      );
    }
    return;
  }
  await mkdir(out, { recursive: true });
  await writeFileAtomically(file, Buffer.from(`${wanted}\n`));
  await writeFileAtomically(join(out, 'origin.json'), Buffer.from(`${JSON.stringify(origin(), null, 2)}\n`));
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`quickstart: ${process.env.DEBUG ? (error as Error).stack : (error as Error).message}`);
  process.exitCode = 1;
}
