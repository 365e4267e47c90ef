import type { Command } from 'commander';
import type { Output } from './command';
import { number, whole } from './flags';
import { countReporter } from './progress';

interface Flags {
  readonly length?: number;
  readonly images?: number;
  readonly out?: string;
  readonly force: boolean;
  readonly json: boolean;
}

/** Adds `cm ema`. */
export function addEmaCommand(program: Command, { out, err }: Output): void {
  program
    .command('ema')
    .description('makes the average of another length of a run’s snapshots, after training')
    .argument('<run>', 'run folder, of a recipe with power-function averages')
    .option('--length <sigma>', 'σ_rel, above 0 and at most 0.28', number('length'))
    .option('--images <count>', 'training images at which it ends; default: the newest snapshot’s', whole('images', 1))
    .option('--out <file>', 'default: snapshots/posthoc-<images>-<length>.safetensors')
    .option('--force', 'replace a file that is there', false)
    .option('--json', 'say what was done as JSON, with the coefficients', false)
    .action(async (run: string, { length, images, out: to, force, json }: Flags) => {
      if (length === undefined) throw new Error('--length is missing, expected σ_rel of the average that is wanted');
      // Loaded when needed: other commands start at once.
      const { reconstruct } = await import('./ema');
      const done = await reconstruct(run, {
        length,
        force,
        ...(images !== undefined && { images }),
        ...(to !== undefined && { to }),
        onProgress: countReporter(err, 'snapshots'),
      });
      if (json) return out(`${JSON.stringify(done, null, 2)}\n`);
      const at = `${done.images.toLocaleString('en')} images`;
      out(`${done.to}: length ${length}, at ${at}, of ${done.terms.length} snapshots\n`);
    });
}
