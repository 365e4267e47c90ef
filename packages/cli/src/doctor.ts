import { constants } from 'node:buffer';
import { existsSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { findDinoV2Weights, findInceptionWeights } from '@cm/fid/node';
import { isInstalled as hasTensorFlow } from '@cm/tfjs-node';
import { isInstalled as hasTorch } from '@cm/torch';
import { wasmKernelsInUse } from '@cm/wasm-kernels';
import * as tf from '@tensorflow/tfjs-core';
import { type BackendName, backendNames, isOnGpu, useBackend } from './backend';

/** What is known of a backend. */
export interface BackendReport {
  readonly name: BackendName;
  readonly usable: boolean;
  /** What it runs on, in words: `libtorch 2.9.0`. */
  readonly version?: string;
  readonly device?: 'cpu' | 'gpu';
  readonly threads?: number;
  /** Measured, in 10⁹ floating-point operations a second, float32. */
  readonly gigaflops?: Speed;
  /** Where it cannot be used: why not, and what to do. */
  readonly advice?: string;
}

/** Speed of the two operations that networks spend their time on. */
export interface Speed {
  /** Product of two matrices of 1,024 × 1,024. */
  readonly matMul: number;
  /** Convolution 3 × 3 of 8 images of 32 × 32, 128 channels to 128. */
  readonly convolution: number;
}

/** Files that some commands need. */
export interface FileReport {
  readonly name: string;
  /** null: not found. */
  readonly path: string | null;
  /** What to fetch, where it was not found. */
  readonly advice?: string;
}

/** What {@link diagnose} found. */
export interface Diagnosis {
  readonly node: string;
  readonly platform: string;
  readonly processors: number;
  readonly processor: string;
  /** Bytes of main memory. */
  readonly memory: number;
  /** Bytes of the largest array: all images of a large data set in memory need one. */
  readonly largestArray: number;
  /** Whether there is an NVIDIA driver at work. */
  readonly nvidiaDriver: boolean;
  /** The one that commands take by default. */
  readonly chosen: BackendName;
  readonly backends: readonly BackendReport[];
  readonly files: readonly FileReport[];
}

/**
 * Looks at what this machine has for the commands, and how fast it is. The backends that can be used are started one after another.
 *
 * @param options `seconds` of each of a backend's two measurements, about; default 0.3.
 */
export async function diagnose({ seconds = 0.3 }: { readonly seconds?: number } = {}): Promise<Diagnosis> {
  const backends: BackendReport[] = [];
  for (const name of backendNames) backends.push(await reportOf(name, seconds));
  return {
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    processors: availableParallelism(),
    processor: cpus()[0]?.model ?? 'unknown',
    memory: totalmem(),
    largestArray: constants.MAX_LENGTH,
    nvidiaDriver: existsSync('/proc/driver/nvidia/version') || existsSync('/dev/nvidiactl'),
    chosen: hasTorch() ? 'torch' : 'wasm',
    backends,
    files: [
      await fileOf('Inception-v3', findInceptionWeights),
      await fileOf('DINOv2 ViT-B/14', () => findDinoV2Weights('vitb14')),
      await fileOf('DINOv2 ViT-L/14', () => findDinoV2Weights('vitl14')),
    ],
  };
}

const setups: Readonly<Partial<Record<BackendName, { isInstalled(): boolean; command: string }>>> = {
  torch: { isInstalled: hasTorch, command: 'npx cm-torch setup' },
  tensorflow: { isInstalled: hasTensorFlow, command: 'npx cm-tfjs-node setup' },
};

async function reportOf(name: BackendName, seconds: number): Promise<BackendReport> {
  const setup = setups[name];
  if (setup && !setup.isInstalled()) {
    return { name, usable: false, advice: `not set up: ${setup.command}` };
  }
  try {
    await useBackend(name);
    return { name, usable: true, ...factsOf(name), gigaflops: speedOf(seconds) };
  } catch (error) {
    return { name, usable: false, advice: (error as Error).message };
  }
}

/** The parts of backends that tell what they are. */
interface Torch {
  readonly addon: { version(): string };
  numbers(count: number, kernel: string, ...args: readonly number[]): number[];
}
interface TensorFlow {
  readonly binding: { readonly TF_Version: string };
}

/** Of the current backend. */
function factsOf(name: BackendName): Pick<BackendReport, 'version' | 'device' | 'threads'> {
  const device = isOnGpu(name) ? 'gpu' : 'cpu';
  if (name === 'torch') {
    const { addon, numbers } = tf.backend() as unknown as Torch;
    const ask = (kernel: string, ...args: number[]) => numbers.call(tf.backend(), 1, kernel, ...args)[0]!;
    return { version: `libtorch ${addon.version()}`, device, threads: ask('threads', 0) };
  }
  if (name === 'tensorflow') {
    const { binding } = tf.backend() as unknown as TensorFlow;
    const threads = Number(process.env.TF_NUM_INTRAOP_THREADS) || availableParallelism();
    return { version: `TensorFlow ${binding.TF_Version}`, device, threads };
  }
  const { simd, threads } = wasmKernelsInUse()!;
  return { version: `WebAssembly, ${simd} SIMD`, device, threads };
}

function speedOf(seconds: number): Speed {
  const matrix = tf.fill([1024, 1024], 0.01) as tf.Tensor2D;
  const images = tf.fill([8, 32, 32, 128], 0.01) as tf.Tensor4D;
  const filter = tf.fill([3, 3, 128, 128], 0.01) as tf.Tensor4D;
  try {
    return {
      matMul: rate(seconds, 2 * 1024 ** 3, () => tf.matMul(matrix, matrix)),
      convolution: rate(seconds, 2 * 8 * 32 ** 2 * 9 * 128 ** 2, () => tf.conv2d(images, filter, 1, 'same')),
    };
  } finally {
    tf.dispose([matrix, images, filter]);
  }
}

/** 10⁹ operations a second, the most seen, of calls one after another: without the first, more and more until they take long enough. */
function rate(seconds: number, operations: number, call: () => tf.Tensor): number {
  const timed = (count: number) => {
    const start = performance.now();
    for (let i = 0; i < count; i++) {
      const result = call();
      // A device may work behind: what is read has been computed, and all before it.
      if (i === count - 1) tf.tidy(() => tf.slice(tf.reshape(result, [-1]), 0, 1).dataSync());
      result.dispose();
    }
    return (performance.now() - start) / 1000;
  };
  timed(1);
  let best = 0;
  for (let count = 1; ; count *= 2) {
    const taken = timed(count);
    // Something else may take the processor for a while.
    best = Math.max(best, (count * operations) / taken / 1e9);
    if (taken >= seconds / 2 || count >= 2 ** 20) return best;
  }
}

async function fileOf(name: string, find: () => Promise<string>): Promise<FileReport> {
  return find().then(
    (path) => ({ name, path }),
    (error: Error) => ({ name, path: null, advice: error.message }),
  );
}

/** A {@link Diagnosis} for a terminal. */
export function diagnosisText(diagnosis: Diagnosis): string {
  const { node, platform, processors, processor, memory, largestArray, nvidiaDriver, chosen, backends, files } =
    diagnosis;
  const gibibytes = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const line = (name: string, fact: string) => `${name.padEnd(16)} ${fact}`;
  return [
    line('Node.js', `${node} on ${platform}; arrays of up to ${gibibytes(largestArray)}`),
    line('machine', `${processors} × ${processor.trim()}, ${gibibytes(memory)} of memory`),
    line('NVIDIA driver', nvidiaDriver ? 'present' : 'none: the processor computes'),
    ...backends.map(({ name, version, device, threads, gigaflops, advice }) =>
      line(
        name,
        gigaflops
          ? `${version}, ${device === 'gpu' ? 'GPU' : counted(threads!)}: products ${rounded(gigaflops.matMul)}, convolutions ${rounded(gigaflops.convolution)} GFLOP/s`
          : advice!,
      ),
    ),
    line('default', `--backend ${chosen}`),
    ...files.map(({ name, path, advice }) => line(name, path ?? advice!)),
  ].join('\n');
}

const rounded = (value: number) => Number(value.toPrecision(3)).toLocaleString('en');
const counted = (threads: number) => (threads === 1 ? '1 thread' : `${threads} threads`);
