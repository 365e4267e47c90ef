import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDistributedInstalled } from '@cm/torch/distributed';
import { build } from 'tsup';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

interface Result {
  readonly losses: number[];
  readonly tensors: number;
  /** Bytes of first moments that the process had. */
  readonly kept: number;
  readonly state: { readonly step: number; readonly params: Record<string, number[]> };
}

// Without libtorch's c10d, which `npx cm-torch setup` looks for, there is nothing that could be tested.
describe.skipIf(!isDistributedInstalled())('processes that train together', () => {
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'distributed-'));
    await build({
      entry: [fileURLToPath(new URL('distributed-child.ts', import.meta.url))],
      outDir: folder,
      outExtension: () => ({ js: '.mjs' }),
      format: 'esm',
      target: 'es2022',
      platform: 'node',
      noExternal: [/.*/],
      banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
      tsconfig: fileURLToPath(new URL('../../../tsconfig.json', import.meta.url)),
      config: false,
      silent: true,
      dts: false,
    });
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  interface Run {
    readonly size: number;
    readonly steps: number;
    readonly shard?: boolean;
    /** The step after which the last process is killed. */
    readonly killed?: number;
  }

  /** Starts processes as a launcher does. */
  async function start(name: string, { size, steps, shard = false, killed }: Run) {
    const port = await freePort();
    const of = (rank: number) =>
      new Promise<{ code: number | null; errors: string }>((resolve) => {
        const how = [String(steps), shard ? 'shard' : '', String(killed ?? '')];
        const args = [join(folder, 'distributed-child.mjs'), join(folder, name), ...how];
        const own = { RANK: rank, LOCAL_RANK: rank, WORLD_SIZE: size, MASTER_ADDR: '127.0.0.1', MASTER_PORT: port };
        const env = Object.fromEntries(Object.entries(own).map(([name, value]) => [name, String(value)]));
        const child = spawn(process.execPath, args, {
          env: { ...process.env, ...env },
          stdio: ['ignore', 'ignore', 'pipe'],
        });
        let errors = '';
        child.stderr.on('data', (data) => {
          errors += data;
        });
        child.on('close', (code) => resolve({ code, errors }));
      });
    return Promise.all(Array.from({ length: size }, (_, rank) => of(rank)));
  }
  async function finished(name: string, run: Run): Promise<Result[]> {
    for (const { code, errors } of await start(name, run)) expect({ code, errors }).toEqual({ code: 0, errors: '' });
    return Array.from({ length: run.size }, (_, rank) =>
      JSON.parse(readFileSync(join(folder, name, `${rank}.json`), 'utf8')),
    );
  }
  const plain = new Map<number, Promise<Result[]>>();
  /** The results of 50 steps, by so many processes. */
  function resultsOf(size: number): Promise<Result[]> {
    const found = plain.get(size) ?? finished(String(size), { size, steps: 50 });
    plain.set(size, found);
    return found;
  }
  const difference = (a: number[], b: number[]) => Math.max(...a.map((value, i) => Math.abs(value - b[i]!)));

  it('take the steps of one process, the same to the bit in each', async () => {
    const [one] = await resultsOf(1);
    expect(one!.losses).toHaveLength(50);
    for (const size of [2, 4]) {
      const all = await resultsOf(size);
      for (const { losses, state, tensors } of all) {
        expect({ losses, state }).toEqual({ losses: all[0]!.losses, state: all[0]!.state });
        expect(tensors).toBe(0);
      }
      expect(difference(all[0]!.losses, one!.losses)).toBeLessThan(1e-5);
      for (const [name, values] of Object.entries(one!.state.params)) {
        expect(difference(all[0]!.state.params[name]!, values)).toBeLessThan(1e-5);
      }
    }
  });

  it('end when one of them is killed, saying so, and go on as another number of processes', async () => {
    const ends = await start('killed', { size: 4, steps: 50, killed: 30 });
    expect(ends.slice(0, 3).map(({ code }) => code)).toEqual([1, 1, 1]);
    for (const { errors } of ends.slice(0, 3)) expect(errors).toMatch(/process \d of 4: another process has ended/);
    const [resumed, other] = await finished('killed', { size: 2, steps: 50 });
    expect(resumed!.losses).toHaveLength(25);
    expect(other!.state).toEqual(resumed!.state);
    const whole = (await resultsOf(1))[0]!;
    expect(difference(resumed!.losses, whole.losses.slice(25))).toBeLessThan(1e-5);
    expect(resumed!.state.step).toBe(50);
  });

  it('take the same steps, to the bit, where moments and averages are shared out', async () => {
    const size = 4;
    const all = await finished('shared out', { size, steps: 50, shard: true });
    const { losses, state, kept } = (await resultsOf(size))[0]!;
    for (const own of all) {
      expect({ losses: own.losses, state: own.state, tensors: own.tensors }).toEqual({ losses, state, tensors: 0 });
      expect(own.kept).toBeLessThan(kept);
    }
    expect(all.reduce((sum, own) => sum + own.kept, 0)).toBe(kept);
  });

  it('go on shared out from a state of processes that were not, and the other way, as another number of them', async () => {
    await finished('mixed', { size: 4, steps: 20, shard: true });
    await finished('mixed', { size: 1, steps: 30 });
    const [last] = await finished('mixed', { size: 2, steps: 50, shard: true });
    const whole = (await resultsOf(1))[0]!;
    expect(last!.state.step).toBe(50);
    expect(difference(last!.losses, whole.losses.slice(30))).toBeLessThan(1e-5);
    for (const [name, values] of Object.entries(whole.state.params)) {
      expect(difference(last!.state.params[name]!, values)).toBeLessThan(1e-5);
    }
  });
});

const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
