import { type Launch, launchFrom } from '@cm/torch/launch';
import { Command, CommanderError } from 'commander';
import { type ConvertOptions, convert } from './convert';
import { addDatasetCommand } from './dataset-command';
import { addDoctorCommand } from './doctor-command';
import { addEmaCommand } from './ema-command';
import { addEvaluateCommand } from './evaluate-command';
import { addFidCommands } from './fid-command';
import { inspect } from './inspect';
import { addSampleCommand } from './sample-command';
import { sizeOf, tableOf } from './table';
import { addTrainCommand } from './train-command';

/** Where a command writes. */
export interface Output {
  /** What is asked for: the standard output. */
  readonly out: (text: string) => void;
  /** Progress and errors: the standard error. */
  readonly err: (text: string) => void;
}

const terminal: Output = {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
};

/**
 * Runs `cm` with its arguments, such as `['inspect', 'model.pkl', '--json']`.
 *
 * @returns the exit status: 0, or 1 after an error, which is one line on `err`
 *
 * @example
 * ```ts
 * import { run } from '@cm/cli';
 *
 * const status = await run(['train', 'no-such-recipe'], { out: () => {}, err: () => {} });
 * console.log(status); // 1
 * ```
 */
export async function run(argv: readonly string[], output: Output = terminal): Promise<number> {
  let launch: Launch | undefined;
  try {
    launch = launchFrom(process.env);
  } catch (error) {
    output.err(`cm: ${(error as Error).message}\n`);
    return 1;
  }
  // Of several processes, one speaks; the others say no more than what ended them.
  const { out, err } = launch && launch.rank > 0 ? { out: () => {}, err: () => {} } : output;
  const print = (value: unknown) => out(`${JSON.stringify(value, null, 2)}\n`);
  const program = new Command('cm')
    .description('Consistency models: trains them, samples them, measures, and converts checkpoints.')
    .exitOverride()
    .configureOutput({ writeOut: out, writeErr: err })
    .showHelpAfterError('(--help lists commands and options)');

  addTrainCommand(program, { out, err });
  addSampleCommand(program, { out, err });
  addEvaluateCommand(program, { out, err }, argv);
  addEmaCommand(program, { out, err });
  addDatasetCommand(program, { out, err });

  program
    .command('inspect')
    .description('says what is in a checkpoint: tensors, configuration, EMA length, images seen')
    .argument('<file>', 'safetensors, PyTorch (.pt, .pth), NVIDIA pickle (.pkl), .npz or .npy')
    .option('--at <path>', 'entry that is meant, where several have tensors: G_ema, model.net')
    .option('--json', 'as JSON', false)
    .action(async (file: string, { at, json }: { at?: string; json: boolean }) => {
      const inspection = await inspect(file, at);
      if (json) print(inspection);
      else out(`${tableOf(inspection)}\n`);
    });

  program
    .command('convert')
    .description('writes the tensors of a checkpoint in another format, bit for bit')
    .argument('<in>', 'safetensors, PyTorch (.pt, .pth), NVIDIA pickle (.pkl), .npz or .npy')
    .argument('<out>', '.safetensors, .pt, .pth or .npz: the extension says the format')
    .option('--at <path>', 'entry that is meant, where several have tensors: G_ema, model.net')
    .option('--force', 'replace a file that is there', false)
    .option('--json', 'say what was done as JSON', false)
    .action(async (from: string, to: string, { json, ...options }: ConvertOptions & { json: boolean }) => {
      const converted = await convert(from, to, options);
      if (json) return print(converted);
      const { tensors, bytes, leftOut } = converted;
      out(`${to}: ${tensors} tensors, ${sizeOf(bytes)}\n`);
      if (leftOut.length > 0) err(`cm: the format has no place for ${leftOut.join(', ')}\n`);
    });

  addFidCommands(program, { out, err });
  addDoctorCommand(program, { out, err });

  try {
    await program.parseAsync(argv, { from: 'user' });
    return 0;
  } catch (error) {
    // Help and version end in an error of status 0; commander has written its own messages.
    if (error instanceof CommanderError) return error.exitCode;
    if (!(error instanceof Error)) throw error;
    output.err(`cm${launch ? `, process ${launch.rank}` : ''}: ${error.message}\n`);
    return 1;
  }
}
