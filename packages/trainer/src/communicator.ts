import type * as tf from '@tensorflow/tfjs-core';
import type { TrainingState } from './state';

/**
 * Processes that train one model together, each on its rows of every batch: a process group of `@cm/torch/distributed`, or anything else that does
 * the same. All processes call the same operations in the same order.
 */
export interface Communicator {
  /** 0 to size − 1. Process 0 writes. */
  readonly rank: number;
  readonly size: number;
  /** The sum over processes of each tensor, as new tensors with the same bits in every process. */
  allReduce<T extends tf.Tensor>(tensors: readonly T[]): Promise<T[]>;
  /** The tensors of process `root`, as new tensors, in place of those given, which say shapes and type. */
  broadcast<T extends tf.Tensor>(tensors: readonly T[], root: number): Promise<T[]>;
  /** Bytes of every process, any number each, in the order of ranks. */
  allGatherBytes(bytes: Uint8Array): Promise<Uint8Array[]>;
}

/** A JSON value of every process, in the order of ranks. */
export async function exchange<T>(communicator: Communicator, value: T): Promise<T[]> {
  const all = await communicator.allGatherBytes(new TextEncoder().encode(JSON.stringify(value)));
  return all.map((bytes) => JSON.parse(new TextDecoder().decode(bytes)) as T);
}

/** How often processes hear from one that is at work, in milliseconds: their time-out is for processes that have ended, not for long work. */
const BEAT = 1000;

interface Beat<T> {
  readonly done?: { readonly value: T };
  readonly error?: string;
}

/**
 * Does something in every process, however long it takes in each, and waits until all have done it. The work itself must not use the communicator.
 *
 * @returns each process's result, which JSON must be able to hold, in the order of ranks
 * @throws what the work throws here; else an Error with the message of the process in which it did
 */
export async function inAll<T>(communicator: Communicator | undefined, work: () => Promise<T>): Promise<T[]> {
  if (!communicator || communicator.size === 1) return [await work()];
  let own: Beat<T | null> = {};
  let failure: { readonly error: unknown } | undefined;
  const settled = work().then(
    (value) => {
      own = { done: { value: value ?? null } };
    },
    (error: unknown) => {
      failure = { error };
      own = { error: error instanceof Error ? error.message : String(error) };
    },
  );
  for (;;) {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const pause = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, BEAT);
    });
    await Promise.race([settled, pause]);
    clearTimeout(timer);
    const all = await exchange(communicator, own);
    if (failure) throw failure.error;
    const failed = all.findIndex(({ error }) => error !== undefined);
    if (failed >= 0) throw new Error(`process ${failed}: ${all[failed]!.error}`);
    if (all.every(({ done }) => done)) return all.map(({ done }) => done!.value as T);
  }
}

/**
 * Does something in process 0 alone, while the others wait, and gives its result, which JSON must be able to hold, to all.
 *
 * @throws as {@link inAll}
 */
export async function inFirst<T>(communicator: Communicator | undefined, work: () => Promise<T>): Promise<T> {
  const isFirst = !communicator || communicator.rank === 0;
  const [value] = await inAll<T | null>(communicator, isFirst ? work : async () => null);
  return value as T;
}

/** SHA-256 of every bit of a state but the seconds that it took. */
export async function fingerprint(state: TrainingState): Promise<string> {
  const { params, optimizer, averages, step, images, key } = state;
  const digests: Uint8Array[] = [];
  const add = async (bytes: Uint8Array) => {
    digests.push(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>)));
  };
  await add(new TextEncoder().encode(JSON.stringify([step, images, key, optimizer.step])));
  for (const map of [params, optimizer.m, optimizer.v, ...Object.values(averages)]) {
    for (const name of Object.keys(map).sort()) {
      const values = (await map[name]!.data()) as Float32Array;
      await add(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    }
  }
  const all = new Uint8Array(32 * digests.length);
  digests.forEach((digest, i) => {
    all.set(digest, 32 * i);
  });
  const whole = new Uint8Array(await crypto.subtle.digest('SHA-256', all));
  return Array.from(whole, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * Holds that all processes have the same state, to the bit.
 *
 * @throws Error naming the processes that differ
 */
export async function checkSame(communicator: Communicator, state: TrainingState): Promise<void> {
  const all = await exchange(communicator, { hash: await fingerprint(state), step: state.step });
  const others = all.flatMap(({ hash }, rank) => (hash === all[0]!.hash ? [] : [rank]));
  if (others.length === 0) return;
  throw new Error(
    `createTrainer: the state of process ${others.join(', ')} (step ${others.map((rank) => all[rank]!.step).join(', ')}) is not that of process 0 ` +
      `(step ${all[0]!.step}): all start from the same state, read from the same folder, and on the same kind of device`,
  );
}
