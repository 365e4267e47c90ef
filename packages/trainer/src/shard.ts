import * as tf from '@tensorflow/tfjs-core';
import type { Communicator } from './communicator';
import type { TrainingState } from './state';

// ZeRO-1 (Rajbhandari et al., arXiv 1910.02054): each process keeps moments and averages of some parameters alone, and updates these. Whole tensors are
// shared out, so that the optimizer and the averages work on maps that have fewer names.

/** Which process keeps each tensor's moments and averages, by name. */
export type Owners = ReadonlyMap<string, number>;

/** The largest tensors first, each to the process that has least: a function of names and shapes. */
export function ownersOf(params: tf.NamedTensorMap, size: number): Owners {
  const loads = new Array<number>(size).fill(0);
  const names = Object.keys(params).sort((a, b) => params[b]!.size - params[a]!.size || (a < b ? -1 : 1));
  return new Map(
    names.map((name) => {
      const owner = loads.indexOf(Math.min(...loads));
      loads[owner]! += params[name]!.size;
      return [name, owner];
    }),
  );
}

/** The tensors of a map that are a process's. */
export const ownPart = (owners: Owners, rank: number, map: tf.NamedTensorMap): tf.NamedTensorMap =>
  Object.fromEntries(Object.entries(map).filter(([name]) => owners.get(name) === rank));

/** A whole state's parameters, and of its moments and averages those of one process. The others are freed. */
export function ownState(owners: Owners, rank: number, state: TrainingState): TrainingState {
  const own = (map: tf.NamedTensorMap) => {
    const part = ownPart(owners, rank, map);
    tf.dispose(Object.entries(map).flatMap(([name, tensor]) => (name in part ? [] : [tensor])));
    return part;
  };
  const { optimizer, averages } = state;
  return {
    ...state,
    optimizer: { ...optimizer, m: own(optimizer.m), v: own(optimizer.v) },
    averages: Object.fromEntries(Object.entries(averages).map(([name, map]) => [name, own(map)])),
  };
}

/**
 * The whole of a map that processes have shared out, in new tensors.
 *
 * @param like The parameters: all names, in their order, and shapes.
 * @param keep Whether it is wanted here; else the map is empty, and no more than one process's part is held on the way.
 */
export async function gathered(
  communicator: Communicator,
  owners: Owners,
  own: tf.NamedTensorMap,
  like: tf.NamedTensorMap,
  keep = true,
): Promise<tf.NamedTensorMap> {
  const found = new Map<string, tf.Tensor>();
  for (let root = 0; root < communicator.size; root++) {
    const names = Object.keys(like).filter((name) => owners.get(name) === root);
    const given = root === communicator.rank ? own : like;
    const tensors = await communicator.broadcast(
      names.map((name) => given[name]!),
      root,
    );
    if (keep) names.forEach((name, i) => void found.set(name, tensors[i]!));
    else tf.dispose(tensors);
  }
  return Object.fromEntries(Object.keys(like).flatMap((name) => (found.has(name) ? [[name, found.get(name)!]] : [])));
}

/** Which parts of a shared-out state are brought together, and whether in process 0 alone. */
export interface Gathering {
  readonly moments: boolean;
  readonly everywhere: boolean;
}

/** A state whose averages, and moments if wanted, are whole, in new tensors; its parameters are those of the given one. What is not gathered is left empty. */
export async function wholeState(
  communicator: Communicator,
  owners: Owners,
  state: TrainingState,
  { moments, everywhere }: Gathering,
): Promise<TrainingState> {
  const keep = everywhere || communicator.rank === 0;
  const whole = (own: tf.NamedTensorMap) => gathered(communicator, owners, own, state.params, keep);
  const { step, m, v } = state.optimizer;
  const averages: Record<string, tf.NamedTensorMap> = {};
  for (const [name, own] of Object.entries(state.averages)) averages[name] = await whole(own);
  const optimizer = moments ? { step, m: await whole(m), v: await whole(v) } : { step, m: {}, v: {} };
  return { ...state, optimizer, averages };
}
