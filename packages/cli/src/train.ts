import { join } from 'node:path';
import { createLoader } from '@cm/datasets';
import { objectiveOf } from '@cm/ect';
import { adam, constantEma, type EmaDecay, powerFunctionEma, rAdam } from '@cm/optimizers';
import { key, split } from '@cm/random';
import { constant, inverseSquareRoot, type LearningRate } from '@cm/schedules';
import { estimatorOf } from '@cm/sct';
import {
  type Communicator,
  consistencyObjective,
  createTrainer,
  exchange,
  gatheredReferences,
  inFirst,
  initialState,
  logTo,
  type SnapshotMoment,
  stageOf,
  type TrainingEvent,
  type TrainingState,
} from '@cm/trainer';
import { jsonLines, loadState, saveSnapshots, saveState, tensorBoard } from '@cm/trainer/node';
import * as tf from '@tensorflow/tfjs-core';
import '@cm/gradients';
import { type BackendName, type Exactness, isOnGpu, scopeOf } from './backend';
import { type Network, networkOf, parametersOf } from './network';
import { checkData, loadData, openData, referencesOf } from './train-data';
import { type EvaluatorOptions, type Extractor, evaluator, referenceStatistics } from './train-evaluation';
import { openRunFolder } from './train-folder';
import type { Start } from './train-network';
import type { ResolvedRun, TrainRecipe } from './train-recipe';

/** What {@link train} is given beside a run's numbers. The backend is the current one. */
export interface TrainOptions extends ResolvedRun {
  readonly start: Start;
  readonly data: string;
  /** The run folder. */
  readonly out: string;
  readonly backend: { readonly name: BackendName; readonly precision: NonNullable<Exactness['precision']> };
  /** Measures Fréchet distances. Default: none are measured. */
  readonly extractor?: Extractor;
  /** Statistics file that distances are taken from. Default: of the training images. */
  readonly reference?: string;
  /** The processes that train together, each with the same options. Process 0 alone writes. Default: this one is alone. */
  readonly communicator?: Communicator;
  /** Whether these processes share out moments and averages: see `shardState` of `TrainerOptions`. Default false. */
  readonly shardState?: boolean;
  /** Ends training between two steps, its state saved. */
  readonly signal?: AbortSignal;
  /** Told what is being done. */
  readonly onMessage?: (message: string) => void;
}

/**
 * Trains by a recipe into a run folder, or goes on with what the folder has. Events come as from a trainer, logged before they are passed on.
 *
 * @throws Error when the folder holds a run of another configuration, naming what differs; the data set does not fit the network; TrainingError
 */
export async function* train(options: TrainOptions): AsyncGenerator<TrainingEvent, void, undefined> {
  const { recipe, run, start, out, backend, extractor, communicator, onMessage = () => {} } = options;
  const counting = (what: string) => (done: number, total: number) => {
    if (done === total || done % 5000 < 50) onMessage(`${what}: ${counted(done)} of ${counted(total)}`);
  };
  const network = networkOf(start.config, run);
  const objective = objectiveOf(recipe);
  const { references } = recipe.estimator.name === 'stable-target' ? recipe.estimator : { references: undefined };
  const whole = references === 'all' || references === 'all-of-class';
  let data = await openData(options.data);
  const held: tf.Tensor[] = [];
  try {
    checkData(options.data, data, network, { whole });
    const settings = { recipe, run, network: network.arguments, start: start.name, data: data.facts, backend };
    await inFirst(communicator, () => openRunFolder(out, settings));
    data = await loadData(data, { whole, onProgress: counting('images read') });

    const optimizer = (recipe.optimizer.name === 'radam' ? rAdam : adam)(recipe.optimizer);
    const averages = averagesOf(recipe);
    const states = join(out, 'states');
    // A damaged state is set aside by process 0, before the others look.
    const load = () => loadState(states, { onDamaged: onMessage });
    let found: TrainingState | undefined;
    await inFirst(communicator, async () => {
      found = await load();
    });
    if (communicator && communicator.rank > 0) found = await load();
    const state = found ?? newState(network, start, { optimizer, averages, key: split(key(run.seed), 'training') });

    const set = whole ? referencesOf(data, { onGpu: isOnGpu(backend.name) }) : undefined;
    const diffusion = recipe.estimator.name === 'distillation' ? frozen(network, start, held) : undefined;
    const average = Object.keys(averages)[0]!;
    const together = communicator && { communicator };
    let distance: EvaluatorOptions['distance'];
    const without = communicator ? (await exchange(communicator, extractor !== undefined)).indexOf(false) : -1;
    if (extractor && without >= 0) {
      onMessage(`Fréchet distances are not measured in training: process ${without} has no network for them`);
    } else if (extractor) {
      const deterministic = true;
      const inFloat32 = await scopeOf(backend.name, { deterministic }, { deterministic, precision: backend.precision });
      const extract = (images: tf.Tensor4D) => inFloat32(() => extractor.extract(images));
      const reference = await referenceStatistics(extract, data, {
        folder: out,
        onProgress: counting('features of training images'),
        ...(options.reference !== undefined && { given: options.reference }),
        ...together,
      });
      distance = { extract, reference };
    }
    const inBatch = references === 'batch' || references === 'batch-of-class';
    const shared =
      communicator && inBatch
        ? gatheredReferences(communicator, { classConditional: references === 'batch-of-class' })
        : undefined;
    const metric = `frechetDistance${recipe.phases}`;
    const order = {
      batchSize: recipe.batchSize,
      key: split(key(run.seed), 'data'),
      flip: run.flip,
      ...(communicator && { shard: { rank: communicator.rank, ranks: communicator.size } }),
    };
    const trainer = createTrainer({
      state,
      network,
      objective: consistencyObjective({
        ...objective,
        estimator: estimatorOf(recipe, {
          ...(set && { references: set }),
          ...(diffusion && { diffusion }),
          ...(shared && { gather: shared.gather }),
        }),
        stage: stageOf(recipe),
      }),
      optimizer,
      averages,
      ...(recipe.target.name !== 'student' && { teacher: TARGET }),
      learningRate: learningRateOf(recipe),
      data:
        'read' in data.images
          ? createLoader({ dataset: data.images, ...order })
          : createLoader({ dataset: data.images, ...order }),
      batchSize: recipe.batchSize,
      ...together,
      ...(options.shardState && { shardState: true }),
      ...(shared && { prepare: shared.prepare }),
      microBatch: run.microBatch,
      totalImages: recipe.batchSize * recipe.steps,
      ...(options.signal && { signal: options.signal }),
      save: { every: run.saveEvery, run: (state) => saveState(states, state, { keep: run.keepStates }) },
      snapshot: {
        every: run.snapshotEvery,
        run: (state, moment) => snapshots(join(out, 'snapshots'), state, moment, options, network),
      },
      evaluate: {
        every: run.evaluateEvery,
        run: evaluator({ network, recipe, run, folder: out, average, ...(distance && { distance }), ...together }),
        ...(distance && { best: metric }),
      },
    });
    try {
      const every = { every: run.logEvery };
      const isFirst = !communicator || communicator.rank === 0;
      const logs = isFirst ? [jsonLines(join(out, 'log.jsonl'), every), tensorBoard(out, every)] : [];
      yield* logTo(trainer, ...logs);
    } finally {
      trainer.dispose();
      set?.dispose();
    }
  } finally {
    tf.dispose(held);
    await data.close();
  }
}

const counted = (value: number) => value.toLocaleString('en');

/** The average that targets come from, of recipes whose target network is one. */
const TARGET = 'target';

/** The recipe's averages by the names that snapshots have: `0.9999`, a decay, `0.050`, a length σ_rel. The first is the one that is sampled. */
export function averagesOf(recipe: TrainRecipe): Record<string, EmaDecay> {
  const { ema, target } = recipe;
  const { targetDecay } = objectiveOf({ ...recipe, metric: { name: 'l2' } });
  const own =
    'decay' in ema
      ? [[String(ema.decay), constantEma(ema)] as const]
      : ema.sigmaRel.map((sigmaRel) => [sigmaRel.toFixed(3), powerFunctionEma({ sigmaRel })] as const);
  return {
    ...Object.fromEntries(own),
    ...(target.name !== 'student' && { [TARGET]: (step: number) => targetDecay(step - 1) }),
  };
}

function learningRateOf({ learningRate: { lr, decaySteps, warmupSteps } }: TrainRecipe): LearningRate {
  if (decaySteps === undefined && warmupSteps === undefined) return constant(lr);
  const referenceSteps = decaySteps ?? Number.MAX_VALUE;
  return inverseSquareRoot({ lr, referenceSteps, ...(warmupSteps !== undefined && { warmupSteps }) });
}

type StateParts = Pick<Parameters<typeof initialState>[0], 'optimizer' | 'averages' | 'key'>;

function newState(network: Network, { checkpoint }: Start, parts: StateParts): TrainingState {
  const params = checkpoint ? parametersOf(network, checkpoint) : network.init(split(parts.key, 'parameters'));
  try {
    return initialState({ params, ...parts });
  } finally {
    tf.dispose(params);
  }
}

/** The diffusion model that is distilled: the checkpoint, without dropout. What it holds is added to `held`. */
function frozen(network: Network, { checkpoint }: Start, held: tf.Tensor[]) {
  if (!checkpoint) throw new Error('distillation needs the diffusion model that --transfer names');
  const params = parametersOf(network, checkpoint);
  held.push(...Object.values(params));
  const prepared = network.prepare?.(params).weights;
  held.push(...Object.values(prepared ?? {}));
  return network.denoiser(prepared ?? params);
}

/** Each average in a file of its own, which says all that it takes to sample it. */
async function snapshots(
  folder: string,
  state: TrainingState,
  moment: SnapshotMoment,
  { recipe, run }: ResolvedRun,
  network: Network,
): Promise<string[]> {
  const { className, kwargs } = network.arguments;
  const files: string[] = [];
  for (const [name, params] of Object.entries(state.averages)) {
    const isPower = 'sigmaRel' in recipe.ema && name !== TARGET;
    const metadata = {
      className,
      config: JSON.stringify(kwargs),
      recipe: JSON.stringify(recipe),
      sigmaMax: String(run.sigmaMax),
      imagesSeen: String(state.images),
      ...(isPower && { emaLength: name }),
    };
    const one = { ...state, averages: { [name]: params } };
    files.push(...(await saveSnapshots(folder, one, moment, { layout: network.toFile, metadata })));
  }
  return files;
}
