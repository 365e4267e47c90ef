import type { Command } from 'commander';
import type { Output } from './command';
import { whole } from './flags';
import { type GenerateFlags, generateOptions, modelArgument, withGenerateFlags } from './generate-flags';
import { countReporter } from './progress';

interface Flags extends GenerateFlags {
  readonly images: number;
  readonly steps?: number;
  readonly grid?: string;
  readonly force: boolean;
  readonly json: boolean;
}

/** Adds `cm sample`. */
export function addSampleCommand(program: Command, { out, err }: Output): void {
  withGenerateFlags(
    program
      .command('sample')
      .description('draws images from a model; images that are there already are kept')
      .argument('<model>', modelArgument)
      .argument('<out>', 'folder of PNG files, .zip as EDM’s data sets, or .npz as ADM’s')
      .option('--images <count>', 'how many', whole('images', 1), 64)
      .option('--steps <count>', 'as the recipe has; Heun’s, of a diffusion model', whole('steps', 1)),
  )
    .option('--grid <file>', 'a picture of the first 64 too, PNG')
    .option('--force', 'replace a .zip or .npz that is there', false)
    .option('--json', 'say what was done as JSON', false)
    .action(async (model: string, to: string, flags: Flags) => {
      // Loaded when needed: other commands start at once.
      const { sample } = await import('./sample');
      const { images, steps, grid, force } = flags;
      const done = await sample(model, to, {
        ...generateOptions(flags),
        images,
        force,
        ...(steps !== undefined && { steps }),
        ...(grid !== undefined && { grid }),
        onProgress: countReporter(err),
      });
      if (flags.json) return out(`${JSON.stringify(done, null, 2)}\n`);
      out(`${to}: ${done.images.toLocaleString('en')} images, ${done.sampler}, of ${done.model}\n`);
    });
}
