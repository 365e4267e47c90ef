import type { Native } from './module';
import { mayWait, startWorker } from './workers';

/** Threads that share the kernels' work. */
export interface Pool {
  /** How many work, the caller included. */
  readonly threads: number;
  /** Ends the workers. The module must not be called afterwards. */
  terminate(): void;
}

/** Where a pool lives: the module's instance of the thread that calls it, and how to get memory of its heap. */
export interface PoolHost {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly native: Native;
  /** A block aligned to 64 bytes, never freed. */
  allocate(bytes: number): number;
  newStackEnd(): number;
}

/** Makes `threads − 1` workers. They join in when they have started; until then, and without them, the caller does the work alone. */
export function startPool({ module, memory, native, allocate, newStackEnd }: PoolHost, threads: number): Pool {
  const bytes = native.pool_bytes();
  const pool = allocate(bytes);
  const workers = Array.from({ length: threads - 1 }, (_, index) => ({ stackEnd: newStackEnd(), thread: index + 1 }));
  new Uint8Array(memory.buffer, pool, bytes).fill(0);
  native.pool_start(pool, threads, mayWait() ? 1 : 0);
  const started = workers.map((worker) => startWorker({ ...worker, module, memory, pool }));
  return {
    threads,
    terminate() {
      for (const worker of started) worker.terminate();
    },
  };
}
