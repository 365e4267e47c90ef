import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import { cifar10 } from './cifar10';
import { digits } from './digits';
import { startEngine } from './engine';
import { estimators } from './estimators';
import { guidance } from './guidance';
import { hour } from './hour';
import { phases } from './phases';
import { posterior } from './posterior';
import { progressLine } from './progress';
import { references, referencesCifar10, referencesSlow } from './references';
import { schedules } from './schedules';
import { type CommonSettings, type Folders, runStudy, type Study } from './study';
import type { Subject } from './workbench';

const inRepository = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const kept: Folders = { results: inRepository('examples/study/results'), images: inRepository('docs/images') };

const program = new Command('pnpm study')
  .description('Experiments that check what the paper claims. docs/study.md has their outcome.')
  .showHelpAfterError('(--help lists the experiments)');

interface Flags {
  readonly quick?: boolean;
  readonly out?: string;
  readonly seeds?: number;
  readonly data?: string;
}

/** Adds an experiment as a command: on digits, or on what `subjectOf` makes of `--data`. */
function add<Settings extends CommonSettings, Result>(
  study: Study<Settings, Result>,
  subjectOf?: (data: string) => Subject,
): void {
  const command = program
    .command(study.name)
    .description(study.title)
    .option('--quick', 'fewer steps and seeds, for a first look; results go to runs/study')
    .option('--out <folder>', 'folder of results and plot, instead of examples/study/results and docs/images')
    .addHelpText('after', '\nFinished runs are kept, and not run again: the same command continues after an interrupt.')
    .action(async ({ quick, out, seeds, data }: Flags) => {
      const folder = out ?? (quick ? 'runs/study' : undefined);
      const folders = folder ? { results: resolve(folder), images: resolve(folder) } : kept;
      const backend = await startEngine();
      const line = progressLine();
      const settings = { ...study.settings[quick ? 'quick' : 'full'], ...(seeds && { seeds }) };
      const table = await runStudy(study, settings, {
        subject: subjectOf ? subjectOf(data!) : digits,
        folders,
        backend,
        onProgress: line.show,
      });
      line.end();
      console.log(table);
    });
  if (subjectOf) command.requiredOption('--data <path>', 'the images: an archive or folder of CIFAR-10');
  if ('seeds' in study.settings.full) {
    command.option(
      '--seeds <n>',
      'runs of every method; more than there are continue with the missing ones',
      wholeNumber,
    );
  }
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!(Number.isInteger(value) && value >= 1)) throw new InvalidArgumentError('expected a whole number from 1');
  return value;
}

add(posterior);
add(schedules);
add(references);
add(referencesSlow);
add(referencesCifar10, cifar10);
add(hour, cifar10);
add(phases);
add(guidance);
add(estimators);

try {
  await program.parseAsync();
} catch (error) {
  console.error(`study: ${process.env.DEBUG ? (error as Error).stack : (error as Error).message}`);
  process.exitCode = 1;
}
