import type { Optimizer, OptimizerState } from '@cm/optimizers';
import type { Key } from '@cm/random';
import * as tf from '@tensorflow/tfjs-core';

/**
 * All that training carries from one step to the next, as one plain value. The loader's position and the stage of schedules are functions of
 * `step`, the epoch one of `images`, and everything random in a step is a function of `key`, `step` and the row: there is nothing else to resume.
 */
export interface TrainingState {
  /** Steps taken: the position of the next batch. */
  readonly step: number;
  /** Images seen: `step` batches. */
  readonly images: number;
  /** Seconds spent in steps, by all processes that worked on this state. */
  readonly seconds: number;
  readonly key: Key;
  /** The parameters that are trained, by name. */
  readonly params: tf.NamedTensorMap;
  readonly optimizer: OptimizerState;
  /** Averages of the parameters over training, by the names under which the trainer has their decays. */
  readonly averages: Readonly<Record<string, tf.NamedTensorMap>>;
  /** The lowest value so far of the metric that decides which snapshot is best, and where it was. */
  readonly best?: { readonly images: number; readonly value: number };
}

/** What {@link initialState} starts from. */
export interface InitialStateOptions {
  /** Cloned: they stay the caller's. */
  readonly params: tf.NamedTensorMap;
  readonly optimizer: Optimizer;
  /** An entry for each average. All begin as the parameters. */
  readonly averages: Readonly<Record<string, unknown>>;
  readonly key: Key;
}

/** The state before the first step. Its tensors are the caller's, until a trainer takes them. */
export function initialState({ params, optimizer, averages, key }: InitialStateOptions): TrainingState {
  const copy = () => Object.fromEntries(Object.entries(params).map(([name, tensor]) => [name, tf.clone(tensor)]));
  return {
    step: 0,
    images: 0,
    seconds: 0,
    key,
    params: copy(),
    optimizer: optimizer.init(params),
    averages: Object.fromEntries(Object.keys(averages).map((name) => [name, copy()])),
  };
}

/** Frees a state's tensors. */
export function disposeState({ params, optimizer, averages }: TrainingState): void {
  tf.dispose([params, optimizer.m, optimizer.v, ...Object.values(averages)]);
}
