import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { DatasetError } from './error';
import { doImageJob, type ImageJob, type ImageResult } from './image-work';

/** What a thread is sent. */
export interface WorkerRequest {
  readonly id: number;
  readonly job: ImageJob;
}

/** What it answers. */
export interface WorkerReply {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: { readonly message: string; readonly name: string };
}

/** Threads that read, decode and encode images. They do not keep the process alive. */
export interface ImagePool {
  readonly threads: number;
  /** @throws DatasetError that the job ended with. */
  run<J extends ImageJob>(job: J): Promise<ImageResult<J>>;
  /** Ends the threads; jobs that are under way fail. */
  close(): Promise<void>;
}

interface Pending {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/**
 * @param threads 0 does everything in the calling thread.
 * @throws DatasetError when it is no whole number.
 */
export function createImagePool(threads: number): ImagePool {
  if (!(Number.isInteger(threads) && threads >= 0)) {
    throw new DatasetError(`threads is ${threads}, expected a whole number`);
  }
  if (threads === 0) {
    return { threads, run: (job) => doImageJob(job) as Promise<never>, close: async () => {} };
  }
  const members: Member[] = [];
  return {
    threads,
    run(job) {
      let least = members.reduce<Member | undefined>(
        (best, member) => (best && best.load() <= member.load() ? best : member),
        undefined,
      );
      // Threads start as they are needed.
      if (!least || (least.load() > 0 && members.length < threads)) {
        least = startMember(() => members.splice(members.indexOf(least!), 1));
        members.push(least);
      }
      return least.run(job) as Promise<never>;
    },
    async close() {
      await Promise.all(members.splice(0).map((member) => member.close()));
    },
  };
}

interface Member {
  load(): number;
  run(job: ImageJob): Promise<unknown>;
  close(): Promise<unknown>;
}

let nextId = 0;

function startMember(onEnd: () => void): Member {
  const worker = startWorker();
  const pending = new Map<number, Pending>();
  worker.unref();
  const settle = (id: number): Pending | undefined => {
    const found = pending.get(id);
    pending.delete(id);
    if (pending.size === 0) worker.unref();
    return found;
  };
  const endWith = (error: Error) => {
    onEnd();
    for (const { reject } of pending.values()) reject(error);
    pending.clear();
  };
  worker.on('message', ({ id, result, error }: WorkerReply) => {
    const waiting = settle(id);
    if (error)
      waiting?.reject(error.name === 'DatasetError' ? new DatasetError(error.message) : new Error(error.message));
    else waiting?.resolve(result);
  });
  worker.on('error', endWith);
  worker.on('exit', () => endWith(new Error('the thread that decodes images has ended')));
  return {
    load: () => pending.size,
    run: (job) =>
      new Promise((resolve, reject) => {
        const id = nextId++;
        pending.set(id, { resolve, reject });
        worker.ref();
        worker.postMessage({ id, job } satisfies WorkerRequest);
      }),
    close: () => worker.terminate(),
  };
}

/** The worker's file lies beside this one: built, or as a source, which tests and examples run through tsx. */
function startWorker(): Worker {
  if (!import.meta.url.endsWith('.ts')) return new Worker(new URL('./image-worker.js', import.meta.url));
  const tsx = createRequire(import.meta.url).resolve('tsx/package.json');
  const api = new URL('dist/esm/api/index.mjs', pathToFileURL(tsx)).href;
  const file = new URL('./image-worker.ts', import.meta.url).href;
  return new Worker(`import('${api}').then(({ register }) => (register(), import('${file}')))`, { eval: true });
}
