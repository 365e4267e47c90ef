/** What a worker needs to become a thread of the kernels: the module, on the shared memory, with a stack of its own. */
export interface WorkerStart {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Byte offsets on the heap. */
  readonly stackEnd: number;
  readonly pool: number;
  /** 1, 2, …: the thread that calls the kernels is 0. */
  readonly thread: number;
}

const start = `async ({ module, memory, stackEnd, pool, thread }) => {
  const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
  exports.__stack_pointer.value = stackEnd;
  exports.pool_work(pool, thread);
}`;

interface NodeWorker {
  unref(): void;
  terminate(): Promise<number>;
}

interface NodeProcess {
  getBuiltinModule?(id: 'node:os'): { availableParallelism(): number };
  getBuiltinModule?(id: 'node:worker_threads'): {
    Worker: new (source: string, options: { eval: true; workerData: unknown; execArgv: string[] }) => NodeWorker;
  };
}

const builtin = (): NodeProcess['getBuiltinModule'] =>
  (globalThis as { process?: NodeProcess }).process?.getBuiltinModule;

/** Whether memory can be shared with workers here: in Node, and in browsers that isolate the page from other origins. */
export function canShareMemory(): boolean {
  if (typeof SharedArrayBuffer === 'undefined') return false;
  return builtin() !== undefined || (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === true;
}

/** How many threads the machine runs at once. */
export function availableThreads(): number {
  return builtin()?.('node:os').availableParallelism() ?? navigator.hardwareConcurrency;
}

/** Whether the current thread may block: all but a browser's main thread. */
export function mayWait(): boolean {
  return builtin() !== undefined || typeof document === 'undefined';
}

/** Starts a worker that serves the pool until it is terminated, and does not keep Node's process alive. */
export function startWorker(data: WorkerStart): { terminate(): void } {
  const getBuiltinModule = builtin();
  if (getBuiltinModule) {
    const { Worker } = getBuiltinModule('node:worker_threads');
    const source = `(${start})(require('node:worker_threads').workerData)`;
    const worker = new Worker(source, { eval: true, workerData: data, execArgv: [] });
    worker.unref();
    return { terminate: () => void worker.terminate() };
  }
  const url = URL.createObjectURL(
    new Blob([`onmessage = ({ data }) => (${start})(data)`], { type: 'text/javascript' }),
  );
  const worker = new Worker(url);
  worker.postMessage(data);
  return {
    terminate: () => {
      worker.terminate();
      URL.revokeObjectURL(url);
    },
  };
}
