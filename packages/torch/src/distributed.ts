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
  deviceOf(tensors: Float64Array): number;
  ncclId(library: string, make: number): Uint8Array;
  openNccl(group: number, library: string, id: Uint8Array, device: number): Promise<void>;
  failNccl(group: number, reason: string): void;
  dropNccl(group: number): void;
  close(group: number): void;
}

/**
 * Processes that work together, by c10d's Gloo, and NCCL for tensors of GPUs. All of them call the same operations in the same order. Tensors are the torch
 * backend's, results new ones, the caller's, with the same bits in every process. An operation that fails, because a process has ended or the time-out is over,
 * rejects; the group is of no use afterwards.
 */
export interface ProcessGroup {
  readonly rank: number;
  readonly size: number;
  /** Place among the processes of this machine. */
  readonly localRank: number;
  /** What tensors travel by: NCCL, from GPU to GPU, or Gloo, through main memory. */
  readonly transport: 'gloo' | 'nccl';
  /** Why it is Gloo, where a process has its tensors on a GPU. */
  readonly fallback?: string;
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

/** NCCL's library by the name under which PyTorch's CUDA wheel, or the system, has it. */
const NCCL = 'libnccl.so.2';

/** Options of {@link processGroupFromEnvironment}. */
export interface ProcessGroupOptions {
  /**
   * NCCL's library, a name or a path; false: tensors travel by Gloo in any case. Default: `libnccl.so.2`, where the torch backend has its tensors on a GPU by
   * the time that the group is opened.
   */
  readonly nccl?: string | false;
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
  const { timeoutSeconds = 300, env = process.env, nccl } = options;
  if (!(timeoutSeconds > 0 && timeoutSeconds < 1e6)) {
    throw new Error(`processGroupFromEnvironment: timeoutSeconds is ${timeoutSeconds}, expected above 0 and below 1e6`);
  }
  const launch = launchFrom(env);
  const networkInterface = env.GLOO_SOCKET_IFNAME?.split(',')[0] ?? '';
  return launch && openGroup(launch, timeoutSeconds, networkInterface, nccl);
}

async function openGroup(
  launch: Launch,
  timeoutSeconds: number,
  networkInterface: string,
  nccl: ProcessGroupOptions['nccl'],
): Promise<ProcessGroup> {
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
  const allGatherBytes = async (bytes: Uint8Array) => {
    const lengths = (await gathered(new Uint8Array(Float64Array.of(bytes.length).buffer))).map(
      (length) => new Float64Array(length.slice().buffer)[0]!,
    );
    const padded = new Uint8Array(Math.max(...lengths));
    padded.set(bytes);
    return (await gathered(padded)).map((all, i) => all.slice(0, lengths[i]));
  };
  const said = async <T>(value: T): Promise<T[]> => {
    const all = await allGatherBytes(new TextEncoder().encode(JSON.stringify(value)));
    return all.map((bytes) => JSON.parse(new TextDecoder().decode(bytes)) as T);
  };
  const transport = await openNccl({ addon, group, rank, nccl, device: deviceIn(addon), said });
  /** NCCL does not see when another process ends; Gloo, which does, is asked at the same time. */
  const watched = async <T>(operation: Promise<T>): Promise<T> => {
    if (transport.name === 'gloo') return operation;
    const heard = gathered(new Uint8Array(1)).catch((error: Error) => {
      addon.failNccl(group, error.message);
      throw error;
    });
    return (await Promise.all([operation, heard]))[0];
  };
  return {
    rank,
    size,
    localRank,
    transport: transport.name,
    ...(transport.fallback !== undefined && { fallback: transport.fallback }),
    async allReduce<T extends tf.Tensor>(tensors: readonly T[], operation: 'sum' | 'mean' = 'sum') {
      const started = inBuckets(tensors).map((bucket) =>
        waited('allReduce', addon.allReduce(group, addresses('allReduce', bucket), Number(operation === 'mean'))),
      );
      return (await watched(Promise.all(started))).flatMap((found) => adopted<T>(found));
    },
    async allGather<T extends tf.Tensor>(tensor: T) {
      const started = waited('allGather', addon.allGather(group, addresses('allGather', [tensor])));
      return adopted<T>(await watched(started));
    },
    async broadcast<T extends tf.Tensor>(tensors: readonly T[], root = 0) {
      const started = inBuckets(tensors).map((bucket) =>
        waited('broadcast', addon.broadcast(group, addresses('broadcast', bucket), root)),
      );
      return (await watched(Promise.all(started))).flatMap((found) => adopted<T>(found));
    },
    allGatherBytes,
    async barrier() {
      await gathered(new Uint8Array(1));
    },
    close: () => addon.close(group),
  };
}

/** The GPU that the torch backend makes its tensors on; −1: it is the CPU, or another backend is in use. */
function deviceIn(addon: DistributedAddon): number {
  if (tf.getBackend() !== 'torch') return -1;
  const probe = tf.scalar(0);
  const [address] = (tf.findBackend('torch') as TorchBackend).numbers(1, 'lend', probe);
  probe.dispose();
  return addon.deviceOf(Float64Array.of(address!));
}

/**
 * Opens NCCL if every process of a group can, or in none. Identical in all, for tensors must not travel one way here and another there.
 *
 * @returns what tensors travel by, and why not by NCCL where a process has its on a GPU
 */
async function openNccl(given: {
  addon: DistributedAddon;
  group: number;
  rank: number;
  nccl: string | false | undefined;
  device: number;
  /** What each process says. */
  said: <T>(value: T) => Promise<T[]>;
}): Promise<{ name: 'gloo' | 'nccl'; fallback?: string }> {
  const { addon, group, rank, nccl, device, said } = given;
  const library = nccl || NCCL;
  const failureOf = async (work: () => unknown) => {
    try {
      await work();
      return null;
    } catch (error) {
      return (error as Error).message.trim().split('\n')[0]!;
    }
  };
  let id: number[] = [];
  const problem = await failureOf(() => {
    if (nccl === false) throw new Error('NCCL is switched off');
    if (nccl === undefined && device < 0) throw new Error('its tensors are on the CPU');
    id = [...addon.ncclId(library, Number(rank === 0))];
  });
  const all = await said({ problem, id, device });
  const without = (problems: readonly (string | null)[]) => {
    const first = problems.findIndex((each) => each !== null);
    if (first < 0) return undefined;
    const onGpu = nccl !== undefined || all.some((each) => each.device >= 0);
    return { name: 'gloo' as const, ...(onGpu && { fallback: `process ${first}: ${problems[first]}` }) };
  };
  const unable = without(all.map((each) => each.problem));
  if (unable) return unable;
  const opened = await failureOf(() => addon.openNccl(group, library, Uint8Array.from(all[0]!.id), device));
  const failed = without(await said(opened));
  if (!failed) return { name: 'nccl' };
  addon.dropNccl(group);
  return failed;
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
