import * as tf from '@tensorflow/tfjs-core';
import { type Communicator, checkSame, exchange, inFirst } from './communicator';
import { TrainingError } from './error';
import { positionOf, type SnapshotMoment, type TrainingEvent } from './events';
import type { Batch, BatchSource } from './objective';
import { type Gathering, type Owners, ownersOf, ownState, wholeState } from './shard';
import { disposeState, type TrainingState } from './state';
import { type StepSettings, sharedStep, trainingStep } from './step';

/** Something that is done every so many images, and when training is through. */
export interface Duty<Run> {
  /** In images. */
  readonly every: number;
  readonly run: Run;
}

/** Options of {@link createTrainer}. Those of a step, and: */
export interface TrainerOptions extends StepSettings {
  /** Where it begins: `initialState`, or what `loadState` found. The trainer takes its tensors, and frees them as it goes on. */
  readonly state: TrainingState;
  /** Batch i is that of step i; with several processes, this process's rows of it: a loader's `shard`. */
  readonly data: BatchSource;
  /** Images of a batch, of all processes: of an update. */
  readonly batchSize: number;
  /**
   * The processes that train together. All take the same steps: gradients are added up, and states stay the same to the bit, which is checked
   * at the start and whenever a state is saved. Saving and snapshots are process 0's. Default: this process is alone.
   */
  readonly communicator?: Communicator;
  /**
   * Whether moments and averages are shared out over the processes, whole tensors each (ZeRO-1): each updates its own, and passes the parameters on.
   * The numbers are the same, and so are saved states, from which any number of processes goes on, shared out or not. Default false.
   */
  readonly shardState?: boolean;
  /** Awaited before each step with its batch: `prepare` of {@link gatheredReferences}. */
  readonly prepare?: (batch: Batch) => Promise<void>;
  /** How long to train, in images: steps times batch size. */
  readonly totalImages: number;
  /** Ends training between two steps, its state saved. What has begun, such as an evaluation, is brought to its end first. */
  readonly signal?: AbortSignal;
  /** Keeps the state, and says where: `saveState` of `@cm/trainer/node`. Also when training is aborted. */
  readonly save?: Duty<(state: TrainingState) => Promise<string>>;
  /** Keeps the averages, and says where: `saveSnapshots` of `@cm/trainer/node`. Also half-way, and when an evaluation is the best so far. */
  readonly snapshot?: Duty<(state: TrainingState, moment: SnapshotMoment) => Promise<readonly string[]>>;
  /**
   * Measures the model by any metrics; before the first step, too. `best` names the one whose lowest value makes the best snapshot.
   * The same state should give the same values: training that was killed evaluates again what it had not saved. Runs in every process, and may
   * use the communicator there; the values of process 0 count. The state has no moments where these are shared out.
   */
  readonly evaluate?: Duty<(state: TrainingState) => Promise<Readonly<Record<string, number>>>> & {
    readonly best?: string;
  };
}

/** Training as an async iterable of events. Iterating takes steps; breaking off and iterating again goes on from the state at hand. */
export interface Trainer extends AsyncIterable<TrainingEvent> {
  /** The state at hand, the trainer's. Where moments and averages are shared out, those of this process. */
  readonly state: TrainingState;
  /** Frees the state. */
  dispose(): void;
}

/**
 * The training loop. Every random number of a step is a function of the state's key, the step and the row, so that from a saved state it
 * takes the same steps again, to the bit on the same backend.
 *
 * After a step come evaluation, snapshots and saving, in this order, so that what was done for a step is not done again after resuming from it.
 *
 * Iterating throws a TrainingError: `diverged` when the loss is not finite, `save-failed` when `save` throws, as on a full disk. The state
 * at hand is then that before the failed step, or the one that could not be saved.
 *
 * @throws Error naming the option that does not fit the state or is out of range
 */
export function createTrainer(options: TrainerOptions): Trainer {
  checkOptions(options);
  const { data, totalImages, signal, communicator } = options;
  let aborted = false;
  const isAborted = () => (communicator ? aborted : signal?.aborted);
  let state = options.state;
  let owners: Owners | undefined;
  let saved: { readonly step: number; readonly file?: string } = { step: state.step };
  let secondsPerStep: number | undefined;

  async function* run(): AsyncGenerator<TrainingEvent, void, undefined> {
    if (communicator) {
      await check(communicator);
      if (options.shardState && !owners) {
        owners = ownersOf(state.params, communicator.size);
        state = ownState(owners, communicator.rank, state);
      }
    }
    yield { type: 'started', ...positionOf(state), totalImages };
    if (state.step === 0) yield* evaluation();
    for (;;) {
      if (state.images >= totalImages || isAborted()) {
        if (saved.step !== state.step) yield* saving();
        const reason = state.images >= totalImages ? 'finished' : 'aborted';
        yield { type: 'stopped', ...positionOf(state), reason };
        return;
      }
      yield* step();
      await breath();
    }
  }

  async function* step(): AsyncGenerator<TrainingEvent, void, undefined> {
    const before = state.images;
    const begun = performance.now();
    const batch = await data.batchAt(state.step);
    const secondsWaited = (performance.now() - begun) / 1000;
    const { loss, learningRate, cleaned, stats, state: next } = await taken(batch);
    disposeState(state);
    const seconds = (performance.now() - begun) / 1000;
    state = { ...next, seconds: next.seconds + seconds };
    secondsPerStep = secondsPerStep === undefined ? seconds : 0.9 * secondsPerStep + 0.1 * seconds;
    const imagesPerSecond = options.batchSize / secondsPerStep;
    yield {
      type: 'step',
      ...positionOf(state),
      totalImages,
      loss,
      learningRate,
      imagesPerSecond,
      secondsLeft: Math.max(totalImages - state.images, 0) / imagesPerSecond,
      secondsWaited,
      bytes: tf.memory().numBytes,
      cleaned,
      stats,
    };
    const due = ({ every }: { readonly every: number }) =>
      state.images >= totalImages || Math.floor(state.images / every) > Math.floor(before / every);
    if (options.evaluate && due(options.evaluate)) yield* evaluation();
    if (options.snapshot) {
      if (before < totalImages / 2 && state.images >= totalImages / 2) yield* snapshots('halfway');
      if (due(options.snapshot)) yield* snapshots('regular');
    }
    if (options.save && due(options.save)) yield* saving();
  }

  async function taken(batch: Batch) {
    try {
      const rows = batch.images.shape[0];
      const { batchSize: total, prepare } = options;
      const expected = total / (communicator?.size ?? 1);
      if (rows !== expected) {
        const whole = communicator ? ` of ${total} over ${communicator.size} processes` : '';
        throw new Error(`createTrainer: data has batches of ${rows} images, expected batchSize ${expected}${whole}`);
      }
      const own = communicator ? { ...batch, part: { first: communicator.rank * rows, total } } : batch;
      await prepare?.(own);
      if (!communicator) return trainingStep(options, state, own);
      const result = await sharedStep(options, state, own, communicator, signal?.aborted === true, owners);
      aborted = result.messages.includes(true);
      return result;
    } catch (error) {
      if (!(error instanceof TrainingError)) throw error;
      const message =
        `${error.message}. Training stopped after ${state.step} steps (${state.images} images), and this step changed nothing. ` +
        `${newestSaved()}. Resuming takes the same steps again: lower the learning rate, or begin from an earlier state.`;
      throw new TrainingError(error.failure, message, { cause: error });
    } finally {
      tf.dispose(batch.images);
    }
  }

  async function* evaluation(): AsyncGenerator<TrainingEvent, void, undefined> {
    const { evaluate } = options;
    if (!evaluate) return;
    const own = await whole({ moments: false, everywhere: true }, evaluate.run).catch((error) => {
      // What has to do with files, as pictures on a full disk.
      throw error instanceof Error && 'syscall' in error ? unsaved('what evaluation makes', error) : error;
    });
    const [metrics = own] = communicator ? await exchange(communicator, own) : [];
    const value = evaluate.best === undefined ? undefined : metrics[evaluate.best];
    if (evaluate.best !== undefined && value === undefined) {
      throw new Error(`createTrainer: evaluate gave ${Object.keys(metrics).join(', ')}, expected ${evaluate.best}`);
    }
    const best = value !== undefined && value < (state.best?.value ?? Number.POSITIVE_INFINITY);
    if (best) state = { ...state, best: { images: state.images, value } };
    yield { type: 'evaluated', ...positionOf(state), metrics, best };
    if (best) yield* snapshots('best');
  }

  async function* snapshots(moment: SnapshotMoment): AsyncGenerator<TrainingEvent, void, undefined> {
    if (!options.snapshot) return;
    const files = await keeping('a snapshot', () =>
      whole({ moments: false, everywhere: false }, (all) =>
        inFirst(communicator, () => options.snapshot!.run(all, moment)),
      ),
    );
    yield { type: 'snapshot', ...positionOf(state), moment, files };
  }

  async function* saving(): AsyncGenerator<TrainingEvent, void, undefined> {
    if (!options.save) return;
    if (communicator) await check(communicator);
    const file = await keeping('the state', () =>
      whole({ moments: true, everywhere: false }, (all) => inFirst(communicator, () => options.save!.run(all))),
    );
    saved = { step: state.step, file };
    yield { type: 'saved', ...positionOf(state), file };
  }

  /** Holds what all processes have: not what is shared out, which one has. */
  const check = (communicator: Communicator) => {
    const { optimizer } = state;
    return checkSame(
      communicator,
      owners ? { ...state, optimizer: { ...optimizer, m: {}, v: {} }, averages: {} } : state,
    );
  };

  /** Runs `use` with a state whose shared-out parts are whole. */
  async function whole<T>(parts: Gathering, use: (state: TrainingState) => Promise<T>): Promise<T> {
    if (!communicator || !owners) return use(state);
    const all = await wholeState(communicator, owners, state, parts);
    try {
      return await use(all);
    } finally {
      disposeState({ ...all, params: {} });
    }
  }

  async function keeping<T>(what: string, write: () => Promise<T>): Promise<T> {
    return write().catch((error) => {
      throw unsaved(what, error);
    });
  }

  const unsaved = (what: string, error: Error) => {
    const failure = error instanceof TrainingError ? error.failure : 'save-failed';
    const message =
      `${what} could not be saved: ${error.message}. Training stopped after ${state.step} steps ` +
      `(${state.images} images). ${newestSaved()}.`;
    return new TrainingError(failure, message, { cause: error });
  };

  const newestSaved = () =>
    saved.file ? `The newest saved state is ${saved.file}` : `No state was saved since step ${saved.step}`;

  return {
    get state() {
      return state;
    },
    [Symbol.asyncIterator]: run,
    dispose: () => disposeState(state),
  };
}

/** Lets signals and messages in. */
const breath = () =>
  new Promise<void>((resolve) => {
    if ('setImmediate' in globalThis) setImmediate(resolve);
    else setTimeout(resolve, 0);
  });

function checkOptions(options: TrainerOptions): void {
  const { state, averages, batchSize, microBatch, teacher, save, snapshot, evaluate } = options;
  const whole = (name: string, value: number | undefined) => {
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 1)) {
      throw new Error(`createTrainer: ${name} is ${value}, expected a whole number from 1`);
    }
  };
  whole('batchSize', batchSize);
  whole('microBatch', microBatch);
  whole('totalImages', options.totalImages);
  const { size = 1 } = options.communicator ?? {};
  if (batchSize % size !== 0) {
    throw new Error(`createTrainer: batchSize is ${batchSize}, expected a multiple of ${size}, the processes`);
  }
  for (const [name, duty] of Object.entries({ save, snapshot, evaluate })) whole(`${name}.every`, duty?.every);
  if (state.images !== state.step * batchSize) {
    throw new Error(
      `createTrainer: batchSize is ${batchSize}, and the state saw ${state.images} images in ${state.step} steps: it goes on with its own batch size`,
    );
  }
  const [has, wanted] = [Object.keys(state.averages).sort(), Object.keys(averages).sort()];
  if (has.join() !== wanted.join()) {
    throw new Error(`createTrainer: averages are [${wanted.join(', ')}], and the state has [${has.join(', ')}]`);
  }
  if (teacher !== undefined && !wanted.includes(teacher)) {
    throw new Error(`createTrainer: teacher is ${teacher}, expected one of the averages ${wanted.join(', ')}`);
  }
}
