import type { Precision } from '@cm/torch';
import type { TrainingEvent } from '@cm/trainer';
import { type Command, CommanderError, Option } from 'commander';
import type { Output } from './command';
import { whole } from './flags';
import type { RunFlags } from './train-recipe';

interface Flags {
  readonly data?: string;
  readonly transfer?: string;
  readonly init?: 'random';
  readonly out?: string;
  readonly config?: string;
  readonly reference?: string;
  readonly backend: string;
  readonly precision: Precision;
  readonly threads?: number;
  readonly batch?: number;
  readonly microBatch?: number;
  readonly images?: number;
  readonly seed?: number;
  readonly shard: boolean;
  readonly profile?: string;
  readonly dryRun: boolean;
}

/** Adds `cm train`. */
export function addTrainCommand(program: Command, { out, err }: Output): void {
  program
    .command('train')
    .description('trains by a recipe into a folder; the same command goes on where it was stopped')
    .argument('<recipe>', 'sct-cifar10, ect-imagenet64-s, …: a wrong name lists them')
    .option('--data <dataset>', 'zip or folder of EDM or EDM2 (cm dataset makes them), or CIFAR-10 as it is published')
    .option('--transfer <checkpoint>', 'diffusion model to start from: EDM’s or EDM2’s pickle, or a safetensors file')
    .addOption(new Option('--init <how>', 'start from random parameters').choices(['random']))
    .option('--out <folder>', 'run folder')
    .option('--config <file>', 'JSON or YAML: changes numbers of the recipe and of the run')
    .option('--batch <images>', 'images of a step', whole('batch', 1))
    .option(
      '--micro-batch <images>',
      'images of one pass: the memory of these, the gradient of all',
      whole('micro-batch', 1),
    )
    .option('--images <count>', 'images to train on in all', whole('images', 1))
    .option('--seed <number>', 'of everything random', whole('seed', 0))
    .option('--reference <file>', 'statistics for distances in training; default: made of the training images')
    .addOption(new Option('--backend <name>').choices(['auto', 'wasm', 'tensorflow', 'torch']).default('auto'))
    .addOption(new Option('--precision <type>', 'torch').choices(['float32', 'tf32', 'bfloat16']).default('float32'))
    .option('--threads <count>', 'threads of the backend', whole('threads', 1))
    .option('--shard', 'several processes share out moments and averages (ZeRO-1)', false)
    .option(
      '--profile <file>',
      'a trace of the kernels of steps 2 to 4 of this start, JSON for Perfetto or chrome://tracing',
    )
    .option('--dry-run', 'prints the resolved recipe and what it costs, and starts nothing', false)
    .addHelpText(
      'after',
      '\nUnder torchrun, srun or mpirun several processes train together, each with a GPU of its own.',
    )
    .action(async (recipe: string, flags: Flags) => {
      if (await runTraining(recipe, flags, { out, err })) return;
      // As a shell reports a command that Ctrl-C ended.
      throw new CommanderError(130, 'cm.stopped', 'stopped');
    });
}

/** @returns whether training came to its end */
async function runTraining(name: string, flags: Flags, { out, err }: Output): Promise<boolean> {
  // Loaded when needed: other commands start at once.
  const { readConfig } = await import('./train-config');
  const { resolveRun } = await import('./train-recipe');
  const file = flags.config === undefined ? { recipe: {}, run: {} } : await readConfig(flags.config);
  const resolved = resolveRun(name, file, flags satisfies RunFlags);
  const source = {
    random: flags.init === 'random',
    ...(flags.transfer !== undefined && { transfer: flags.transfer }),
    ...(file.network && { network: file.network }),
  };
  const { networkChanges, publishedNetwork, startOf } = await import('./train-network');
  if (flags.dryRun) {
    const { planText } = await import('./train-plan');
    const isKnown = source.transfer !== undefined || source.random || source.network !== undefined;
    const config = isKnown
      ? (await startOf(resolved.recipe, { ...source, random: source.random || source.transfer === undefined })).config
      : publishedNetwork(resolved.recipe);
    out(`${planText(resolved, config)}\n`);
    return true;
  }
  const needed = (option: 'data' | 'out') => {
    const value = flags[option];
    if (value === undefined) throw new Error(`--${option} is missing`);
    return value;
  };
  const [data, folder] = [needed('data'), needed('out')];
  const start = await startOf(resolved.recipe, source);
  const changes = networkChanges(resolved.recipe, start.config);
  if (changes.length > 0) err(`cm: not the network of the recipe: ${changes.join('; ')}\n`);

  const { useBackend } = await import('./backend');
  const { processGroup, transportText } = await import('./processes');
  const { precision, threads } = flags;
  const backend = await useBackend(flags.backend, threads, { precision, deterministic: true });
  const group = await processGroup(backend);
  const isFirst = !group || group.rank === 0;
  if (group && isFirst) err(`cm: ${transportText(group)}\n`);
  const { inception } = await import('./train-evaluation');
  const extractor = await inception().catch((error: Error) => {
    if (isFirst) err(`cm: Fréchet distances are not measured in training: ${error.message}\n`);
    return undefined;
  });

  const { train } = await import('./train');
  const { stopOnSignals } = await import('@cm/trainer/node');
  const { progressReporter } = await import('./train-progress');
  const report = isFirst ? progressReporter({ out, err }) : () => {};
  const events = train({
    ...resolved,
    start,
    data,
    out: folder,
    backend: { name: backend, precision },
    ...(extractor && { extractor }),
    ...(group && { communicator: group, shardState: flags.shard }),
    ...(flags.reference !== undefined && { reference: flags.reference }),
    signal: stopOnSignals(),
    onMessage: (message) => err(`cm: ${message}\n`),
  });
  let finished = false;
  try {
    for await (const event of await profiled(events, flags.profile, err)) {
      report(event);
      finished = event.type === 'stopped' && event.reason === 'finished';
    }
  } finally {
    extractor?.dispose();
  }
  return finished;
}

/** Steps that are profiled, after the first, which sets things up. */
const PROFILED = 3;

/** The same events; where a file is named, it gets a trace of the kernels of some steps. */
async function profiled(
  events: AsyncIterable<TrainingEvent>,
  file: string | undefined,
  err: Output['err'],
): Promise<AsyncIterable<TrainingEvent>> {
  if (file === undefined) return events;
  const { profileSteps } = await import('./train-profile');
  return profileSteps(events, file, { steps: PROFILED, onMessage: (message) => err(`cm: ${message}\n`) });
}
