import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expectNoLeak } from '@cm/testing';
import { configureTorch, isInstalled } from '@cm/torch';
import {
  isDistributedInstalled,
  type ProcessGroup,
  type ProcessGroupOptions,
  processGroupFromEnvironment,
} from '@cm/torch/distributed';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasGpu, installation } from '../src/installation';
import { findCompiler } from '../src/setup/compile';

const SIZE = 3;
const sourceOf = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const native = sourceOf('../native/distributed');
/** Runs the C++ compiler. */
const compiled = (...args: string[]) =>
  execFileSync(findCompiler()!.command, ['-std=c++17', `-I${native}`, ...args], { stdio: 'pipe', encoding: 'utf8' });

let folder: string;
/** NCCL's interface on main memory: what its calls can be tried with where there is no GPU. */
let threads: string;
// Without libtorch's c10d, which `npx cm-torch setup` looks for, there is nothing that could be tested.
const isMissing = !isInstalled() || !isDistributedInstalled();
beforeAll(async () => {
  if (isMissing) return;
  folder = mkdtempSync(join(tmpdir(), 'torch-distributed-'));
  threads = join(folder, 'libthreads.so');
  compiled('-O1', '-shared', '-fPIC', sourceOf('nccl/threads.cc'), '-o', threads);
  await tf.setBackend('torch');
  configureTorch({ device: 'cpu' });
});
afterAll(() => {
  if (folder) rmSync(folder, { recursive: true });
});

// The processes are all this one, which a group does not see.
describe.skipIf(isMissing).each(['gloo', 'nccl'] as const)('a process group, by %s', (transport) => {
  let groups: ProcessGroup[];
  beforeAll(async () => {
    const nccl = transport === 'nccl' && { nccl: threads };
    groups = await Promise.all((await launched(SIZE)).map((env) => open(env, 30, nccl || {})));
  });
  afterAll(() => {
    for (const group of groups) group.close();
  });

  it('says what tensors travel by', () => {
    for (const group of groups) expect(group).toMatchObject({ transport });
    for (const group of groups) expect(group.fallback).toBeUndefined();
  });

  /** What `work` gives in each process. */
  const inEach = <T>(work: (group: ProcessGroup) => Promise<T>) => Promise.all(groups.map(work));
  const values = (tensors: readonly tf.Tensor[]) => tensors.map((tensor) => Array.from(tensor.dataSync()));

  it('knows its places', () => {
    expect(groups.map(({ rank, size, localRank }) => [rank, size, localRank])).toEqual([
      [0, 3, 0],
      [1, 3, 1],
      [2, 3, 2],
    ]);
  });

  it.each([
    ['sum', 6],
    ['mean', 2],
  ] as const)('gives each the %s of tensors over processes', async (operation, factor) => {
    const all = await inEach(({ rank, allReduce }) =>
      allReduce([tf.fill([2, 2], rank + 1), tf.tensor1d([10 * (rank + 1)])], operation),
    );
    for (const tensors of all) {
      expect(tensors.map(({ shape }) => shape)).toEqual([[2, 2], [1]]);
      expect(values(tensors)).toEqual([Array(4).fill(factor), [10 * factor]]);
    }
  });

  it('has the same bits in each, of tensors that are more than a bucket', async () => {
    const tensors = ({ rank }: ProcessGroup) =>
      Array.from({ length: 3 }, (_, i) => tf.randomUniform([1500, 1001], -1, 1, 'float32', 10 * rank + i + 1));
    const given = groups.map(tensors);
    const expected = Array.from({ length: 3 }, (_, i) => tf.addN(given.map((own) => own[i]!)));
    const all = await inEach((group) => group.allReduce(given[group.rank]!));
    expected.forEach((tensor, i) => {
      expect(tf.max(tf.abs(tf.sub(tensor, all[0]![i]!))).dataSync()[0]).toBeLessThan(1e-6);
    });
    const bits = all.map((own) => own.map((tensor) => Buffer.from(tensor.dataSync().buffer).toString('base64')));
    expect(bits[1]).toEqual(bits[0]);
    expect(bits[2]).toEqual(bits[0]);
    tf.dispose([given, expected, all]);
  });

  it('takes tensors that are views of others, which may be gone before it is done', async () => {
    const all = await inEach(async ({ allReduce }) => {
      const views = Array.from({ length: 20 }, (_, i) => tf.reshape(tf.fill([6, 50], i), [i % 2 ? 300 : 2, -1]));
      const sums = allReduce(views);
      tf.dispose(views);
      for (let i = 0; i < 50; i++) tf.ones([6, 50]).dispose();
      return sums;
    });
    for (const tensors of all) {
      tensors.forEach((tensor, i) => {
        expect(tensor.shape).toEqual(i % 2 ? [300, 1] : [2, 150]);
        expect(new Set(tensor.dataSync())).toEqual(new Set([3 * i]));
      });
    }
  });

  it('gives each the tensors of all, in order', async () => {
    for (const tensors of await inEach(({ rank, allGather }) => allGather(tf.tensor2d([[rank, -rank]]))))
      expect(values(tensors)).toEqual([
        [0, -0],
        [1, -1],
        [2, -2],
      ]);
    const numbers = await inEach(({ rank, allGather }) => allGather(tf.tensor1d([rank], 'int32')));
    expect(numbers[2]!.map(({ dtype }) => dtype)).toEqual(['int32', 'int32', 'int32']);
    expect(values(numbers[2]!)).toEqual([[0], [1], [2]]);
  });

  it('gives each the tensors of one', async () => {
    for (const tensors of await inEach(({ rank, broadcast }) => broadcast([tf.tensor1d([rank, 7])], 1)))
      expect(values(tensors)).toEqual([[1, 7]]);
    for (const tensors of await inEach(({ rank, broadcast }) =>
      broadcast([tf.tensor1d([rank === 2, true], 'bool')], 2),
    ))
      expect(values(tensors)).toEqual([[1, 1]]);
    // A type that NCCL does not have.
    const complex = ({ rank, broadcast }: ProcessGroup) => broadcast([tf.complex([rank, 1], [0, rank])], 1);
    for (const [tensor] of await inEach(complex)) expect([...tf.real(tensor!).dataSync()]).toEqual([1, 1]);
  });

  it('gives each the bytes of all, of which there may be none', async () => {
    const all = await inEach(({ rank, allGatherBytes }) => allGatherBytes(new Uint8Array(2 * rank).fill(rank)));
    for (const bytes of all) expect(bytes.map((each) => [...each])).toEqual([[], [1, 1], [2, 2, 2, 2]]);
  });

  it('waits for all', async () => {
    const come: number[] = [];
    await inEach(async ({ rank, barrier }) => {
      await new Promise((resolve) => setTimeout(resolve, 50 * rank));
      come.push(rank);
      await barrier();
      expect(come).toHaveLength(SIZE);
    });
  });

  it('keeps no tensors', async () => {
    await expectNoLeak(async () => {
      const all = await inEach(async ({ allReduce }) => {
        const tensor = tf.ones([3]);
        const [sum] = await allReduce([tensor]);
        tf.dispose([tensor, sum!]);
      });
      expect(all).toHaveLength(SIZE);
    });
  });
});

describe.skipIf(isMissing)('a process group that cannot go on', () => {
  it('says who did not come in time', async () => {
    const alone = (await launched(2))[0]!;
    await expect(open(alone, 1)).rejects.toThrow(/process 0 of 2: another process .* did not come within 1 s/);
    const [first, second] = await Promise.all((await launched(2)).map((env) => open(env, 1)));
    await expect(first!.barrier()).rejects.toThrow(/process 0 of 2: another process/);
    first!.close();
    second!.close();
  });

  it('refuses tensors of two types, and time-outs that are none', async () => {
    const group = await open((await launched(1))[0]!);
    const mixed = group.allReduce<tf.Tensor>([tf.ones([1]), tf.ones([1], 'int32')]);
    await expect(mixed).rejects.toThrow('allReduce: tensors of float32 and int32, expected one type');
    group.close();
    await expect(processGroupFromEnvironment({ timeoutSeconds: 0 })).rejects.toThrow('timeoutSeconds is 0, expected');
    expect(await processGroupFromEnvironment({ env: {} })).toBeUndefined();
  });

  it('says who did not come to an operation of NCCL, which is aborted then', async () => {
    const [first, second] = await Promise.all((await launched(2)).map((env) => open(env, 1, { nccl: threads })));
    expect(first!.transport).toBe('nccl');
    await expect(first!.allReduce([tf.ones([2])])).rejects.toThrow(/process 0 of 2: another process .* within 1 s/);
    // What comes later fails too, and does not wait.
    await expect(first!.allReduce([tf.ones([2])])).rejects.toThrow(/process 0 of 2/);
    first!.close();
    second!.close();
  });

  it('notices at once when another process goes while NCCL waits for it', async () => {
    const [first, second] = await Promise.all((await launched(2)).map((env) => open(env, 300, { nccl: threads })));
    const sum = first!.allReduce([tf.ones([2])]);
    second!.close();
    await expect(sum).rejects.toThrow(/process 0 of 2: another process has ended/);
    first!.close();
  });

  it('goes by Gloo in all processes where one has no NCCL, and says why', async () => {
    const [own, other] = await Promise.all(
      (await launched(2)).map((env, rank) => open(env, 30, { nccl: rank === 1 ? join(folder, 'none.so') : threads })),
    );
    for (const group of [own!, other!]) {
      expect(group).toMatchObject({ transport: 'gloo', fallback: expect.stringMatching(/process 1: .*none\.so/) });
    }
    const sums = await Promise.all([own!, other!].map(({ allReduce }) => allReduce([tf.ones([1])])));
    expect(sums.map(([sum]) => sum!.dataSync()[0])).toEqual([2, 2]);
    const switched = await open((await launched(1))[0]!, 30, { nccl: false });
    expect(switched).toMatchObject({ transport: 'gloo', fallback: 'process 0: NCCL is switched off' });
    for (const group of [own!, other!, switched]) group.close();
  });
});

// With PyTorch's CUDA wheel, or NCCL in the system's folders or in NCCL_HOME.
describe("NCCL's own files", () => {
  const homes = [
    process.env.NCCL_HOME,
    '/usr',
    isMissing ? undefined : join(installation().libraries, '../../nvidia/nccl'),
  ];
  const home = homes.find((each) => each && existsSync(join(each, 'include/nccl.h')));

  it.skipIf(home === undefined)('declare the interface that is called', () => {
    compiled('-fsyntax-only', `-I${sourceOf('nccl')}`, `-I${home}/include`, sourceOf('nccl/abi.cc'));
  });

  const library = ['lib', 'lib/x86_64-linux-gnu']
    .map((each) => join(home ?? '', each, 'libnccl.so.2'))
    .find(existsSync);
  it.skipIf(isMissing || hasGpu() || library === undefined)('load, and say what is missing without a GPU', async () => {
    const group = await open((await launched(1))[0]!, 30, { nccl: library! });
    expect(group).toMatchObject({ transport: 'gloo', fallback: expect.stringMatching(/^process 0: NCCL: .*cuda/i) });
    const [sum] = await group.allReduce([tf.ones([1])]);
    expect([...sum!.dataSync()]).toEqual([1]);
    group.close();
  });
});

const open = async (env: Record<string, string>, timeoutSeconds = 30, options: ProcessGroupOptions = {}) =>
  (await processGroupFromEnvironment({ env, timeoutSeconds, ...options }))!;

/** The variables of processes that a launcher started. */
async function launched(size: number): Promise<Record<string, string>[]> {
  const port = await new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
  return Array.from({ length: size }, (_, rank) => ({
    RANK: String(rank),
    LOCAL_RANK: String(rank),
    WORLD_SIZE: String(size),
    MASTER_ADDR: '127.0.0.1',
    MASTER_PORT: String(port),
  }));
}
