import type { Precision } from '@cm/torch';
import { type Command, Option } from 'commander';
import { number, whole } from './flags';
import type { GenerateOptions } from './generate';

/** Flags of commands that generate images. */
export interface GenerateFlags {
  readonly best: boolean;
  readonly recipe?: string;
  readonly seed: number;
  readonly batch: number;
  readonly class?: number;
  readonly guidance?: number;
  readonly guide?: string;
  readonly backend: string;
  readonly precision: Precision;
  readonly threads?: number;
}

/** What the model argument of a command is. */
export const modelArgument = 'run folder, whose newest snapshot it is; snapshot; or EDM’s, EDM2’s or ECT’s pickle';

/** Adds the flags that say how images are generated. */
export function withGenerateFlags(command: Command): Command {
  return command
    .option('--best', 'of a run folder the best snapshot instead', false)
    .option('--recipe <name>', 'sample as models of this recipe; default: the file’s own, or Heun’s method')
    .option('--seed <number>', 'of the noise; 0 is that of the pictures in training', whole('seed', 0), 0)
    .option('--batch <images>', 'images that are drawn at once', whole('batch', 1), 64)
    .option('--class <index>', 'of all images; default: classes take turns', whole('class', 0))
    .option(
      '--guidance <strength>',
      'by a worse model: 1 is off; default with --guide: the recipe’s',
      number('guidance'),
    )
    .option('--guide <snapshot>', 'the worse model; default with --guidance: the run’s at half the training')
    .addOption(new Option('--backend <name>').choices(['auto', 'wasm', 'tensorflow', 'torch']).default('auto'))
    .addOption(new Option('--precision <type>', 'torch').choices(['float32', 'tf32', 'bfloat16']).default('float32'))
    .option('--threads <count>', 'threads of the backend', whole('threads', 1));
}

/** The options that {@link withGenerateFlags} means. */
export function generateOptions(flags: GenerateFlags): GenerateOptions {
  const { best, recipe, seed, batch, class: label, guidance: strength, guide, backend, precision, threads } = flags;
  const guidance = { ...(strength !== undefined && { strength }), ...(guide !== undefined && { guide }) };
  return {
    best,
    seed,
    batch,
    backend,
    precision,
    ...(recipe !== undefined && { recipe }),
    ...(label !== undefined && { label }),
    ...(Object.keys(guidance).length > 0 && { guidance }),
    ...(threads !== undefined && { threads }),
  };
}
