import { resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { mnistFolder } from './digits';
import { type MethodName, methods } from './methods';
import { assets, evaluation, tuning } from './settings';

/** What a user can choose. */
export interface Options {
  /** Absolute path of the run folder. */
  readonly out: string;
  readonly methods: readonly MethodName[];
  readonly steps: number;
  readonly batchSize: number;
  readonly samples: number;
  readonly seed: number;
  /** Folder with MNIST's four idx files. */
  readonly data: string;
  /** File of the pretrained diffusion model. */
  readonly start: string;
  readonly fresh: boolean;
}

/** Options from the command line; prints help or an error, and leaves, where that is what was asked for. */
export function parseOptions(argv: readonly string[]): Options {
  const command = new Command('npm run quickstart --')
    .description(
      'Tunes a small diffusion model of digits into a one-step generator, by ECT and by SCT, and compares them.',
    )
    .option('--out <folder>', 'run folder; the same command continues what it holds', 'runs/quickstart')
    .option('--methods <names>', `comma-separated, of ${Object.keys(methods).join(', ')}`, methodNames, ['ect', 'sct'])
    .option('--steps <n>', 'training steps of each method', whole(1, 1_000_000), tuning.steps)
    .option('--batch-size <n>', 'images a step', whole(2, 4096), tuning.batchSize)
    .option('--samples <n>', 'samples behind each Fréchet distance', whole(100, 60_000), evaluation.samples)
    .option('--seed <n>', 'of everything random', whole(0, 2 ** 31 - 1), 0)
    .option('--data <folder>', "folder with MNIST's four idx files", resolvedPath, mnistFolder())
    .option('--start <file>', 'the pretrained diffusion model, safetensors', resolvedPath, assets.diffusion)
    .option('--fresh', 'start anew: what the run folder holds of an earlier run is deleted', false)
    .showHelpAfterError('(--help lists the options)');
  const options = command.parse(argv).opts<Options>();
  return { ...options, out: resolvedPath(options.out) };
}

const resolvedPath = (path: string) => resolve(process.cwd(), path);

function whole(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < low || value > high) {
      throw new InvalidArgumentError(`expected a whole number from ${low} to ${high}`);
    }
    return value;
  };
}

function methodNames(text: string): MethodName[] {
  const names = [...new Set(text.split(',').map((name) => name.trim()))];
  for (const name of names) {
    if (!Object.hasOwn(methods, name)) {
      throw new InvalidArgumentError(`unknown method ${name}, expected ${Object.keys(methods).join(', ')}`);
    }
  }
  return names as MethodName[];
}
