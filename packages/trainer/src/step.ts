import type { ConsistencyModel } from '@cm/ect';
import { type ValueAndGrads, valueAndGrads } from '@cm/gradients';
import { cleanGradients, type EmaDecay, type Optimizer } from '@cm/optimizers';
import { split } from '@cm/random';
import type { LearningRate } from '@cm/schedules';
import * as tf from '@tensorflow/tfjs-core';
import { type Communicator, exchange } from './communicator';
import { TrainingError } from './error';
import { inMicroBatches, prepared, type TrainableNetwork } from './network';
import { type Batch, partOf, type StepLoss, type TrainingObjective } from './objective';
import { gathered, type Owners, ownPart } from './shard';
import type { TrainingState } from './state';

/** How a step is made. */
export interface StepSettings {
  readonly network: TrainableNetwork;
  readonly objective: TrainingObjective;
  readonly optimizer: Optimizer;
  /** The learning rate of an update, given the number of updates made before it: `constant` and `inverseSquareRoot`, with warm-up, of `@cm/schedules`. */
  readonly learningRate: LearningRate;
  /** The decay of each average, given the step's number from 1. The state has the same names. */
  readonly averages: Readonly<Record<string, EmaDecay>>;
  /** Rows of one pass: the gradients of the parts are summed, which gives those of the batch on the memory of one part. Default: the batch. */
  readonly microBatch?: number;
  /** The average whose network the targets come from. Default: the student itself, as in ECT and SCT. */
  readonly teacher?: string;
}

/** What a step gives. */
export interface StepResult {
  /** The next state, of new tensors. */
  readonly state: TrainingState;
  /** Mean over the batch. */
  readonly loss: number;
  readonly learningRate: number;
  /** How many values of the gradient were NaN or ∞ and counted as 0. */
  readonly cleaned: number;
  /** The objective's numbers. */
  readonly stats: Readonly<Record<string, number>>;
}

/**
 * One step: the objective of the whole batch, its gradient part by part, the optimizer's update and the averages'. A function of its arguments;
 * the given state and batch stay as they are and the caller's.
 *
 * @throws TrainingError `diverged` when the loss is not finite; Error when the state lacks an average
 */
export function trainingStep(settings: StepSettings, state: TrainingState, batch: Batch): StepResult {
  return updated(settings, state, gradientsOf(settings, state, batch));
}

/**
 * The same of a batch that several processes share, each with its part: their gradients are added up, and all make the same update of the same
 * state. Where moments and averages are shared out, each makes that of its own tensors, and the parameters are brought together.
 *
 * @param message Sent to the others, beside.
 * @param owners Who has the moments and averages of each tensor. Default: all have all.
 * @returns the step's result, and the messages of all processes
 */
export async function sharedStep<Message>(
  settings: StepSettings,
  state: TrainingState,
  batch: Batch,
  communicator: Communicator,
  message: Message,
  owners?: Owners,
): Promise<StepResult & { readonly messages: readonly Message[] }> {
  const taught = await withTeacher(settings, state, communicator, owners);
  const { params, loss, gradients, stats, counts, rows } = gradientsOf(settings, taught.state, batch);
  tf.dispose(taught.whole);
  const names = Object.keys(gradients);
  const own = [loss, ...names.map((name) => gradients[name]!)];
  try {
    const reduced = communicator.allReduce<tf.Tensor>(own);
    const [[sum, ...sums], all] = await Promise.all([reduced, exchange(communicator, { stats, message })]);
    const merged: Record<string, number> = {};
    for (const name of Object.keys(stats)) {
      const total = all.reduce((total, each) => total + each.stats[name]!, 0);
      merged[name] = counts.includes(name) ? total : total / all.length;
    }
    const found = {
      params,
      loss: sum as tf.Scalar,
      gradients: Object.fromEntries(names.map((name, i) => [name, sums[i]!])),
      stats: merged,
      counts,
      rows,
    };
    const messages = all.map(({ message }) => message);
    if (!owners) return { ...updated(settings, state, found), messages };
    const result = updated(settings, state, found, (map) => ownPart(owners, communicator.rank, map));
    const moved = result.state.params;
    const whole = await gathered(communicator, owners, moved, state.params);
    tf.dispose(moved);
    return { ...result, state: { ...result.state, params: whole }, messages };
  } finally {
    tf.dispose(own);
  }
}

/** A state whose teacher, where it is a shared-out average, is whole: `whole`, to be freed. */
async function withTeacher(
  { teacher }: StepSettings,
  state: TrainingState,
  communicator: Communicator,
  owners: Owners | undefined,
): Promise<{ state: TrainingState; whole: tf.NamedTensorMap }> {
  if (!owners || teacher === undefined) return { state, whole: {} };
  const whole = await gathered(communicator, owners, averageOf(state, teacher), state.params);
  return { state: { ...state, averages: { ...state.averages, [teacher]: whole } }, whole };
}

/** What is known of a step before its update. */
interface StepGradients {
  /** The parameters that are updated: the state's own, or new ones. */
  readonly params: tf.NamedTensorMap;
  readonly loss: tf.Scalar;
  readonly gradients: tf.NamedTensorMap;
  readonly stats: StepResult['stats'];
  readonly counts: readonly string[];
  /** Of the batch of all processes. */
  readonly rows: number;
}

function gradientsOf(settings: StepSettings, state: TrainingState, batch: Batch): StepGradients {
  const { network, objective, teacher } = settings;
  const { step, key } = state;
  const count = batch.images.shape[0];
  const microBatch = Math.min(settings.microBatch ?? count, count);
  const stepKey = split(key, 'step', step);
  const dropout = split(stepKey, 'dropout');
  let numbers: Pick<StepGradients, 'stats' | 'counts'> = { stats: {}, counts: [] };
  const found = tf.tidy(() => {
    const params = network.constrain?.(state.params) ?? state.params;
    const { weights, pullback } = prepared(network, params);
    const average = teacher === undefined ? undefined : averageOf(state, teacher);
    const taught = average ? prepared(network, average).weights : weights;
    const condition = network.condition?.(batch);
    const stepLoss = objective({
      batch,
      ...(condition && { condition }),
      key: stepKey,
      step,
      teacher: inMicroBatches(network.denoiser(taught, dropout), microBatch),
    });
    if (average && taught !== average) tf.dispose(taught);
    const { value, grads } = accumulated(stepLoss, (w) => network.denoiser(w, dropout), weights, { count, microBatch });
    stepLoss.dispose();
    numbers = { stats: stepLoss.stats, counts: stepLoss.counts ?? [] };
    // Freed one after the other, not all at the end: each is as large as the network.
    const gradients = pullback(grads);
    if (gradients !== grads) tf.dispose(grads);
    if (weights !== params) tf.dispose(weights);
    return { params, loss: value, gradients };
  });
  return { ...found, ...numbers, rows: partOf(batch).total };
}

/** The state after the step, of the parameters that are `own`. Frees what it is given but the state. */
function updated(
  { optimizer, averages, ...settings }: StepSettings,
  state: TrainingState,
  { params, loss: value, gradients, stats, rows }: StepGradients,
  own = (map: tf.NamedTensorMap): tf.NamedTensorMap => map,
): StepResult {
  const { step } = state;
  const learningRate = settings.learningRate(step);
  const names = Object.keys(averages);
  const loss = value.dataSync()[0]!;
  let cleaned = 0;
  try {
    if (!Number.isFinite(loss)) throw new TrainingError('diverged', `step ${step}: the loss is ${loss}`);
    const next = tf.tidy(() => {
      const clean = cleanGradients(gradients);
      tf.dispose(gradients);
      cleaned = clean.count;
      const {
        params: moved,
        state: moments,
        ...rest
      } = optimizer.update(own(params), own(clean.grads), state.optimizer, {
        learningRate,
        averages: names.map((name) => ({ ema: averageOf(state, name), beta: averages[name]!(step + 1) })),
      });
      return { params: moved, m: moments.m, v: moments.v, averages: [...rest.averages] };
    });
    return {
      state: {
        ...state,
        step: step + 1,
        images: state.images + rows,
        params: next.params,
        optimizer: { step: state.optimizer.step + 1, m: next.m, v: next.v },
        averages: Object.fromEntries(names.map((name, i) => [name, next.averages[i]!])),
      },
      loss,
      learningRate,
      cleaned,
      stats,
    };
  } finally {
    tf.dispose([value, gradients]);
    if (params !== state.params) tf.dispose(params);
  }
}

/** The batch's loss and its gradient with respect to the weights, as the sum of those of its parts. */
function accumulated(
  { loss }: StepLoss,
  model: (weights: tf.NamedTensorMap) => ConsistencyModel,
  weights: tf.NamedTensorMap,
  { count, microBatch }: { readonly count: number; readonly microBatch: number },
): ValueAndGrads {
  let sum: ValueAndGrads | undefined;
  for (let begin = 0; begin < count; begin += microBatch) {
    const end = Math.min(begin + microBatch, count);
    const part = valueAndGrads((w) => loss(model(w), begin, end), weights);
    sum = sum ? added(sum, part) : part;
  }
  return sum!;
}

/** a + b, both freed tensor by tensor. */
function added(a: ValueAndGrads, b: ValueAndGrads): ValueAndGrads {
  const add = <T extends tf.Tensor>(x: T, y: T) => {
    const total = tf.add(x, y) as T;
    tf.dispose([x, y]);
    return total;
  };
  return {
    value: add(a.value, b.value),
    grads: Object.fromEntries(Object.keys(a.grads).map((name) => [name, add(a.grads[name]!, b.grads[name]!)])),
  };
}

function averageOf({ averages }: TrainingState, name: string): tf.NamedTensorMap {
  const average = averages[name];
  if (!average) {
    throw new Error(`trainingStep: the state has the averages ${Object.keys(averages).join(', ')}, expected ${name}`);
  }
  return average;
}
