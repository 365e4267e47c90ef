import * as tf from '@tensorflow/tfjs-core';

/** An event of the Trace Event Format: `X` lasts, `M` names a row. Times in microseconds. */
export interface TraceEvent {
  readonly name: string;
  readonly ph: 'X' | 'M';
  readonly pid: number;
  readonly tid: number;
  readonly cat?: string;
  readonly ts?: number;
  readonly dur?: number;
  readonly args?: Readonly<Record<string, unknown>>;
}

/** A trace as chrome://tracing and Perfetto open it. */
export interface Trace {
  readonly traceEvents: readonly TraceEvent[];
  readonly displayTimeUnit: 'ms';
  readonly otherData: Readonly<Record<string, string>>;
}

/** Kernels that are being recorded. */
export interface Profiler {
  /** Records that something took until now, from when `begin` was the time, beside the kernels. */
  span(name: string, begin: number): void;
  /** Ends it: kernels are as they were before. */
  stop(): Trace;
}

const [KERNELS, SPANS] = [1, 2];

/**
 * Records every kernel that the current backend runs from now on: when, how long, shapes and bytes of what it takes and gives. Where a
 * device works behind the calls and the backend can wait for it (`@cm/torch`), every kernel is waited for, so that its time is its own and
 * the whole is slower.
 */
export function startProfiler(): Profiler {
  const backend = tf.getBackend();
  const wait = waiter();
  const start = performance.now();
  const events: TraceEvent[] = [row(KERNELS, 'kernels'), row(SPANS, 'steps')];
  const since = (time: number) => 1000 * (time - start);
  const originals = tf.getKernelsForBackend(backend);
  replace(originals, (config) => ({
    ...config,
    kernelFunc: (params) => {
      wait();
      const begin = performance.now();
      const outputs = config.kernelFunc(params);
      wait();
      const end = performance.now();
      const taken = Object.values(params.inputs).flat() as (tf.TensorInfo | undefined)[];
      const given = Array.isArray(outputs) ? outputs : [outputs];
      const [inputs, results] = [taken, given].map((infos) => infos.filter((info) => info !== undefined));
      events.push({
        name: config.kernelName,
        cat: 'kernel',
        ph: 'X',
        pid: 1,
        tid: KERNELS,
        ts: since(begin),
        dur: 1000 * (end - begin),
        args: { inputs: inputs!.map(shown), outputs: results!.map(shown), bytes: bytesOf([...inputs!, ...results!]) },
      });
      return outputs;
    },
  }));
  return {
    span(name, begin) {
      const [ts, dur] = [since(begin), 1000 * (performance.now() - begin)];
      events.push({ name, cat: 'step', ph: 'X', pid: 1, tid: SPANS, ts, dur });
    },
    stop() {
      replace(originals, (config) => config);
      return { traceEvents: events, displayTimeUnit: 'ms', otherData: { backend, node: process.version } };
    },
  };
}

const row = (tid: number, name: string): TraceEvent => ({ name: 'thread_name', ph: 'M', pid: 1, tid, args: { name } });

function replace(configs: readonly tf.KernelConfig[], by: (config: tf.KernelConfig) => tf.KernelConfig): void {
  for (const config of configs) {
    tf.unregisterKernel(config.kernelName, config.backendName);
    tf.registerKernel(by(config));
  }
}

/** Waits for the device of the current backend, where it can. */
function waiter(): () => void {
  if (tf.getBackend() !== 'torch') return () => {};
  const torch = tf.backend() as unknown as { numbers(count: number, kernel: string): number[] };
  return () => {
    torch.numbers(0, 'synchronize');
  };
}

const shown = ({ dtype, shape }: tf.TensorInfo) => `${dtype} [${shape.join(', ')}]`;

function bytesOf(infos: readonly tf.TensorInfo[]): number {
  const each = { float32: 4, int32: 4, bool: 1, complex64: 8, string: 0 };
  return infos.reduce((sum, { dtype, shape }) => sum + tf.util.sizeFromShape(shape) * each[dtype], 0);
}

/** The kernels that took longest: `Conv2D 41 %, …`, of the time of all. */
export function longestKernels({ traceEvents }: Trace, count = 5): string {
  const totals = new Map<string, number>();
  for (const { name, cat, dur = 0 } of traceEvents) {
    if (cat === 'kernel') totals.set(name, (totals.get(name) ?? 0) + dur);
  }
  const all = [...totals.values()].reduce((sum, time) => sum + time, 0);
  const longest = [...totals].sort(([, a], [, b]) => b - a).slice(0, count);
  return longest.map(([name, time]) => `${name} ${((100 * time) / all).toFixed(0)} %`).join(', ');
}
