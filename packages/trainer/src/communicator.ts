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
  /** Bytes of every process, any number each, in the order of ranks. */
  allGatherBytes(bytes: Uint8Array): Promise<Uint8Array[]>;
}

/** A JSON value of every process, in the order of ranks. */
export async function exchange<T>(communicator: Communicator, value: T): Promise<T[]> {
  const all = await communicator.allGatherBytes(new TextEncoder().encode(JSON.stringify(value)));
  return all.map((bytes) => JSON.parse(new TextDecoder().decode(bytes)) as T);
}

/** How often those who wait hear from process 0, in milliseconds: their time-out is for processes that have ended, not for long work. */
const BEAT = 1000;

interface Beat<T> {
  readonly value?: T;
  readonly error?: string;
}

/**
 * Does something in process 0 alone, while the others wait, and gives its result, which JSON must be able to hold, to all.
 *
 * @throws what the work throws, in process 0; in the others an Error with its message
 */
export async function inFirst<T>(communicator: Communicator | undefined, work: () => Promise<T>): Promise<T> {
  if (!communicator || communicator.size === 1) return work();
  if (communicator.rank > 0) {
    for (;;) {
      const [beat] = await exchange<Beat<T>>(communicator, {});
      if (beat!.error !== undefined) throw new Error(`process 0: ${beat!.error}`);
      if ('value' in beat!) return beat.value as T;
    }
  }
  const settled = work().then(
    (value) => ({ value }),
    (failure: Error) => ({ failure }),
  );
  for (;;) {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const pause = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, BEAT, undefined);
    });
    const result = await Promise.race([settled, pause]);
    clearTimeout(timer);
    if (!result) await exchange<Beat<T>>(communicator, {});
    else if ('failure' in result) {
      await exchange<Beat<T>>(communicator, { error: result.failure.message });
      throw result.failure;
    } else {
      await exchange<Beat<T | null>>(communicator, { value: result.value ?? null });
      return result.value;
    }
  }
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
