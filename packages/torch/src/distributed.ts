import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { constants } from 'node:os';
import * as tf from '@tensorflow/tfjs-core';
import { loadAddon } from './addon';
import type { TorchBackend } from './backend';
import { installation } from './installation';
import { type Launch, launchFrom } from './launch';

/** The native module of collective operations. Tensors go by address. */
interface DistributedAddon {
  open(
    host: string,
    port: number,
    serves: number,
    prefix: string,
    rank: number,
    size: number,
    timeout: number,
    networkInterface: string,
    address: string,
  ): Promise<number>;
  allReduce(group: number, tensors: Float64Array, mean: number): Promise<Float64Array>;
  broadcast(group: number, tensors: Float64Array, root: number): Promise<Float64Array>;
  allGather(group: number, tensors: Float64Array): Promise<Float64Array>;
  gatherBytes(group: number, bytes: Uint8Array): Promise<Uint8Array>;
  close(group: number): void;
}

/**
 * Processes that work together, by c10d's Gloo. All of them call the same operations in the same order. Tensors are the torch backend's, results new ones, the
 * caller's, with the same bits in every process. An operation that fails, because a process has ended or the time-out is over, rejects; the group
 * is of no use afterwards.
 */
export interface ProcessGroup {
  readonly rank: number;
  readonly size: number;
  /** Place among the processes of this machine. */
  readonly localRank: number;
  /** Sums, or means, over processes of each tensor, all of one type. They travel in buckets. */
  allReduce<T extends tf.Tensor>(tensors: readonly T[], operation?: 'sum' | 'mean'): Promise<T[]>;
  /** A tensor of every process, all of one shape and type, in the order of ranks. */
  allGather<T extends tf.Tensor>(tensor: T): Promise<T[]>;
  /** The tensors of process `root` (default 0), in place of those given, which say shapes and type. */
  broadcast<T extends tf.Tensor>(tensors: readonly T[], root?: number): Promise<T[]>;
  /** Bytes of every process, any number each, in the order of ranks. */
  allGatherBytes(bytes: Uint8Array): Promise<Uint8Array[]>;
  /** Waits until every process has come here. */
  barrier(): Promise<void>;
  /** Leaves the group, when no operation is under way. */
  close(): void;
}

/** Options of {@link processGroupFromEnvironment}. */
export interface ProcessGroupOptions {
  /** How long an operation, or the meeting at the start, waits for the other processes. Default 300. */
  readonly timeoutSeconds?: number;
  /** Default `process.env`. GLOO_SOCKET_IFNAME in it names the network interface; without it, the one on the way to MASTER_ADDR is taken. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** Bytes of tensors that travel together. Those behind are on their way while the first are added up. */
const BUCKET = 16 * 2 ** 20;

/** Whether `cm-torch setup` found what several processes need in libtorch. */
export function isDistributedInstalled(): boolean {
  try {
    return installation().distributed !== undefined;
  } catch {
    return false;
  }
}

/**
 * The group of the processes that a launcher started with this one (see `launchFrom` of `@cm/torch/launch`), when all have come. Undefined where no launcher has been.
 *
 * @throws Error naming the variables that are missing; when the torch backend has no part for several processes; when the others do not come in time
 */
export async function processGroupFromEnvironment(
  options: ProcessGroupOptions = {},
): Promise<ProcessGroup | undefined> {
  const { timeoutSeconds = 300, env = process.env } = options;
  if (!(timeoutSeconds > 0 && timeoutSeconds < 1e6)) {
    throw new Error(`processGroupFromEnvironment: timeoutSeconds is ${timeoutSeconds}, expected above 0 and below 1e6`);
  }
  const launch = launchFrom(env);
  return launch && openGroup(launch, timeoutSeconds, env.GLOO_SOCKET_IFNAME?.split(',')[0] ?? '');
}

async function openGroup(launch: Launch, timeoutSeconds: number, networkInterface: string): Promise<ProcessGroup> {
  const { rank, size, localRank, host, port, serves, prefix } = launch;
  const addon = loadDistributed();
  const waited = async <T>(what: string, result: Promise<T>): Promise<T> => {
    try {
      return await result;
    } catch (error) {
      throw new Error(
        `${what}, process ${rank} of ${size}: another process has ended, or did not come within ${timeoutSeconds} s ` +
          `(${(error as Error).message.trim().split('\n')[0]})`,
      );
    }
  };
  const group = await waited(
    `processGroupFromEnvironment: no meeting at ${host}:${port}`,
    addon.open(
      host,
      port,
      Number(serves),
      prefix,
      rank,
      size,
      Math.ceil(timeoutSeconds * 1000),
      networkInterface,
      (await addressTowards(host)) ?? '',
    ),
  );
  const backend = () => tf.findBackend('torch') as TorchBackend;
  const addresses = (name: string, tensors: readonly tf.Tensor[]) => {
    if (tf.getBackend() !== 'torch') throw new Error(`${name}: the backend is ${tf.getBackend()}, expected torch`);
    for (const tensor of tensors) {
      if (tensor.dtype !== tensors[0]!.dtype) {
        throw new Error(`${name}: tensors of ${tensors[0]!.dtype} and ${tensor.dtype}, expected one type`);
      }
    }
    return Float64Array.from(tensors, (tensor) => backend().numbers(1, 'lend', tensor)[0]!);
  };
  const adopted = <T extends tf.Tensor>(found: Float64Array) =>
    Array.from(found, (address) => tf.engine().makeTensorFromTensorInfo(backend().call('adopt', address)) as T);
  const gathered = async (bytes: Uint8Array) => {
    const all = await waited('allGatherBytes', addon.gatherBytes(group, bytes));
    return Array.from({ length: size }, (_, i) => all.subarray(i * bytes.length, (i + 1) * bytes.length));
  };
  return {
    rank,
    size,
    localRank,
    async allReduce<T extends tf.Tensor>(tensors: readonly T[], operation: 'sum' | 'mean' = 'sum') {
      const started = inBuckets(tensors).map((bucket) =>
        waited('allReduce', addon.allReduce(group, addresses('allReduce', bucket), Number(operation === 'mean'))),
      );
      return (await Promise.all(started)).flatMap((found) => adopted<T>(found));
    },
    async allGather<T extends tf.Tensor>(tensor: T) {
      return adopted<T>(await waited('allGather', addon.allGather(group, addresses('allGather', [tensor]))));
    },
    async broadcast<T extends tf.Tensor>(tensors: readonly T[], root = 0) {
      const started = inBuckets(tensors).map((bucket) =>
        waited('broadcast', addon.broadcast(group, addresses('broadcast', bucket), root)),
      );
      return (await Promise.all(started)).flatMap((found) => adopted<T>(found));
    },
    async allGatherBytes(bytes) {
      const lengths = (await gathered(new Uint8Array(Float64Array.of(bytes.length).buffer))).map(
        (length) => new Float64Array(length.slice().buffer)[0]!,
      );
      const padded = new Uint8Array(Math.max(...lengths));
      padded.set(bytes);
      return (await gathered(padded)).map((all, i) => all.slice(0, lengths[i]));
    },
    async barrier() {
      await gathered(new Uint8Array(1));
    },
    close: () => addon.close(group),
  };
}

/**
 * This machine's address on the network where another is; undefined where that cannot be told, as where a machine's own name stands for its loopback.
 * Nothing is sent.
 */
async function addressTowards(host: string): Promise<string | undefined> {
  const isLoopback = (address: string) => address.startsWith('127.') || address === '::1';
  try {
    const { address, family } = await lookup(host);
    const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
    try {
      await new Promise<void>((resolve, reject) => {
        socket.on('error', reject);
        socket.connect(9, address, resolve);
      });
      const own = socket.address().address;
      return isLoopback(own) && host !== 'localhost' && !isLoopback(host) ? undefined : own;
    } finally {
      socket.close();
    }
  } catch {
    return undefined;
  }
}

function inBuckets<T extends tf.Tensor>(tensors: readonly T[]): T[][] {
  const buckets: T[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const tensor of tensors) {
    if (bytes >= BUCKET) {
      buckets.push([]);
      bytes = 0;
    }
    buckets.at(-1)!.push(tensor);
    bytes += 4 * tensor.size;
  }
  return buckets;
}

let loaded: DistributedAddon | undefined;

function loadDistributed(): DistributedAddon {
  if (loaded) return loaded;
  const { distributed } = installation();
  if (!distributed) {
    throw new Error('@cm/torch: several processes are not set up: run `npx cm-torch setup` again, which says why not');
  }
  loadAddon();
  const module = { exports: {} as DistributedAddon };
  process.dlopen(module, distributed, constants.dlopen.RTLD_NOW);
  loaded = module.exports;
  return loaded;
}
