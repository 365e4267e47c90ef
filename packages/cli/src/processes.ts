import { existsSync, readdirSync } from 'node:fs';
import type { ProcessGroup } from '@cm/torch/distributed';
import { launchFrom } from '@cm/torch/launch';
import type { Communicator } from '@cm/trainer';
import type { BackendName } from './backend';

let group: Promise<ProcessGroup | undefined> | undefined;

/** What a group's tensors travel by, in words. */
export const transportText = ({ size, transport, fallback }: Pick<ProcessGroup, 'size' | 'transport' | 'fallback'>) =>
  `${size} processes, which add gradients up by ${transport === 'nccl' ? 'NCCL' : 'Gloo, in main memory'}${fallback === undefined ? '' : ` (${fallback})`}`;

/** Whether this process is the one that prints and writes: the only one, or process 0 of those that a launcher started. */
export const isFirst = (): boolean => (launchFrom(process.env)?.rank ?? 0) === 0;

/** Where a launcher started several processes on a machine's GPUs, leaves this one its own; to be called before CUDA is loaded. */
export function takeOwnGpu(): void {
  const launch = launchFrom(process.env);
  if (!launch) return;
  const { CUDA_VISIBLE_DEVICES: visible } = process.env;
  const gpus = visible === undefined ? gpusOfMachine() : visible.split(',');
  // Counted off: a launcher that shows each process a GPU of its own leaves nothing to choose, and one that does not tell places on a machine fills machines.
  process.env.CUDA_VISIBLE_DEVICES = gpus[launch.localRank % gpus.length] ?? String(launch.localRank);
}

/** Numbers of the machine's GPUs, as its driver lists them. */
function gpusOfMachine(): string[] {
  const folder = '/proc/driver/nvidia/gpus';
  return existsSync(folder) ? readdirSync(folder).map((_, i) => String(i)) : [];
}

/**
 * The processes that a launcher (torchrun, srun, mpirun) started with this one, once all have come; undefined where this one is alone.
 *
 * @throws Error on another backend than torch; as `processGroupFromEnvironment`
 */
export function processGroup(backend: BackendName): Promise<ProcessGroup | undefined> {
  group ??= (async () => {
    if (launchFrom(process.env) && backend !== 'torch') {
      throw new Error(`the backend is ${backend}, expected torch for several processes`);
    }
    const { processGroupFromEnvironment } = await import('@cm/torch/distributed');
    return processGroupFromEnvironment();
  })();
  return group;
}

/**
 * The part [from, to) of `count` items that is this process's, in the order of ranks: as many in each, up to a batch. Whole batches, because what a network makes
 * of an image depends, in float32's last bits, on how many it sees at once.
 */
export function shareOf(
  communicator: Pick<Communicator, 'rank' | 'size'> | undefined,
  count: number,
  batch = 1,
): [from: number, to: number] {
  const { rank, size } = communicator ?? { rank: 0, size: 1 };
  const batches = Math.ceil(count / batch);
  const start = (rank: number) => Math.min(count, batch * Math.floor((rank * batches) / size));
  return [start(rank), start(rank + 1)];
}
