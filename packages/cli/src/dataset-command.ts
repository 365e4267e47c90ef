import { stat } from 'node:fs/promises';
import { extname } from 'node:path';
import type { ConvertOptions } from '@cm/datasets/node';
import { type Command, Option } from 'commander';
import type { Output } from './command';
import { whole } from './flags';
import { countReporter } from './progress';
import { printable } from './table';

interface Flags {
  readonly resolution?: string;
  readonly crop: 'adm' | 'none';
  readonly part: 'train' | 'test';
  readonly threads?: string;
  readonly force: boolean;
  readonly json: boolean;
}

/** Adds `cm dataset`. */
export function addDatasetCommand(program: Command, { out, err }: Output): void {
  program
    .command('dataset')
    .description('makes a data set as EDM and EDM2 read it; a run that was stopped goes on where it was')
    .argument('<source>', 'folder, zip or tar of images (ImageNet’s too), or CIFAR-10 as a folder or .tar.gz')
    .argument('<out>', '.zip')
    .option('--resolution <pixels>', 'height and width; default: those of the first image')
    .addOption(
      new Option('--crop <how>', 'adm: halved, resized and cut in the middle as ADM and EDM2 do; none: must fit')
        .choices(['adm', 'none'])
        .default('adm'),
    )
    .addOption(new Option('--part <part>', 'of CIFAR-10').choices(['train', 'test']).default('train'))
    .option('--threads <count>', 'threads that decode; default: the machine’s, less one, up to 8')
    .option('--force', 'replace a file that is there', false)
    .option('--json', 'say what was done as JSON', false)
    .action(async (source: string, to: string, flags: Flags) => {
      if (extname(to) !== '.zip') throw new Error(`${to} ends with "${extname(to)}", expected .zip`);
      if (!flags.force && (await exists(to))) throw new Error(`${to} is there already; --force replaces it`);
      // Loaded when needed: other commands start at once.
      const { convertDataset } = await import('@cm/datasets/node');
      const made = await convertDataset(source, to, { ...optionsOf(flags), onProgress: countReporter(err) });
      for (const reason of made.damaged) err(`cm: left out ${printable(reason)}\n`);
      const { images, classes, resolution, damaged } = made;
      if (flags.json) out(`${JSON.stringify({ to, ...made }, null, 2)}\n`);
      else {
        const labelled = classes === undefined ? 'no labels' : `${classes.toLocaleString('en')} classes`;
        out(`${to}: ${images.toLocaleString('en')} images of ${resolution} × ${resolution}, ${labelled}\n`);
      }
      if (damaged.length > 0) {
        throw new Error(
          `${damaged.length} of ${images + damaged.length} images could not be read and are not in ${to}`,
        );
      }
    });
}

function optionsOf({ resolution, crop, part, threads }: Flags): ConvertOptions {
  return {
    crop,
    part,
    ...(resolution !== undefined && { resolution: whole('resolution', 1)(resolution) }),
    ...(threads !== undefined && { threads: whole('threads', 0)(threads) }),
  };
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );
