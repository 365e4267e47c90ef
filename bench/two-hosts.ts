import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type FileTensor, readSafetensors } from '@cm/checkpoints';

// Training on two hosts: two network namespaces of this machine, each with an address of its own, joined by a virtual cable. Says how far the result is from
// that of one process, also when a host goes down on the way and training goes on. Linux, as root: npx tsx bench/two-hosts.ts

const STEPS = 50;
const BATCH = 16;
const PORT = 29_517;
const hosts = [
  { name: 'cm-host-a', cable: 'cm-cable-a', address: '10.213.7.1' },
  { name: 'cm-host-b', cable: 'cm-cable-b', address: '10.213.7.2' },
] as const;
const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'two-hosts-'));
const ip = (...args: string[]) => execFileSync('ip', args, { stdio: 'inherit' });

function connect(): void {
  for (const { name } of hosts) ip('netns', 'add', name);
  ip('link', 'add', hosts[0].cable, 'type', 'veth', 'peer', 'name', hosts[1].cable);
  for (const { name, cable, address } of hosts) {
    ip('link', 'set', cable, 'netns', name);
    ip('-n', name, 'addr', 'add', `${address}/24`, 'dev', cable);
    ip('-n', name, 'link', 'set', cable, 'up');
    ip('-n', name, 'link', 'set', 'lo', 'up');
  }
}

function disconnect(): void {
  for (const { name } of hosts) {
    try {
      execFileSync('ip', ['netns', 'delete', name], { stdio: 'ignore' });
    } catch {
      // It was not there.
    }
  }
}

const config = join(folder, 'config.json');
const tiny = JSON.parse(readFileSync(join(root, 'examples/cifar10/config/tiny.json'), 'utf8')) as object;
writeFileSync(
  config,
  JSON.stringify({
    ...tiny,
    batchSize: BATCH,
    microBatch: BATCH,
    steps: STEPS,
    saveEvery: 10 * BATCH,
    snapshotEvery: 1e6,
    evaluateEvery: 1e6,
  }),
);

interface Run {
  /** Processes of each host; none: one process that no launcher has started. */
  readonly each?: number;
  readonly shard?: boolean;
  /** Pulls the second host down when the state of so many steps has been saved. */
  readonly until?: number;
}

/** Trains. @returns how each process ended, and what the first said */
async function train(name: string, { each = 0, shard = false, until }: Run) {
  const command = [process.execPath, '--import', 'tsx', 'packages/cli/src/main.ts', 'train', 'sct-cifar10'];
  const data = ['--data', 'packages/cli/test/fixtures/cifar10', '--init', 'random', '--config', config];
  const how = ['--out', join(folder, name), '--backend', 'torch', '--threads', '1', ...(shard ? ['--shard'] : [])];
  const places = each
    ? hosts.flatMap((host) => Array.from({ length: each }, (_, localRank) => ({ host, localRank })))
    : [{ host: undefined, localRank: 0 }];
  const children = places.map(({ host, localRank }, rank) => {
    const variables = {
      RANK: rank,
      LOCAL_RANK: localRank,
      WORLD_SIZE: places.length,
      MASTER_ADDR: hosts[0].address,
      MASTER_PORT: PORT,
    };
    const env = host ? Object.entries(variables).map(([name, value]) => `${name}=${value}`) : [];
    const prefix = host ? ['ip', 'netns', 'exec', host.name, 'env', ...env] : [];
    const [file, ...args] = [...prefix, ...command, ...data, ...how];
    return spawn(file!, args, { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] });
  });
  let errors = '';
  for (const child of children) {
    child.stderr.on('data', (text: Buffer) => {
      errors += text;
    });
  }
  const state = join(folder, name, 'states', `${String((until ?? 0) * BATCH).padStart(12, '0')}.safetensors`);
  const watch = setInterval(() => {
    if (until === undefined || !existsSync(state)) return;
    clearInterval(watch);
    for (const [rank, { host }] of places.entries()) if (host === hosts[1]) children[rank]!.kill('SIGKILL');
  }, 50);
  const codes = await Promise.all(
    children.map((child) => new Promise<number | null>((resolve) => child.on('close', resolve))),
  );
  clearInterval(watch);
  return { codes, errors };
}

/** The tensors of a run's last state. */
function stateOf(name: string): Readonly<Record<string, FileTensor>> {
  const states = join(folder, name, 'states');
  const [newest] = readdirSync(states).sort().reverse();
  return readSafetensors(new Uint8Array(readFileSync(join(states, newest!)))).tensors;
}

const numbers = ({ data }: FileTensor) => new Float32Array(data.slice().buffer);

/** Says how far a run's last state is from that of one process. */
function compare(name: string): void {
  const [one, other] = [stateOf('one'), stateOf(name)];
  let largest = 0;
  const ours = Object.entries(one).filter(([, { dtype }]) => dtype === 'F32');
  for (const [name, tensor] of ours) {
    const values = numbers(other[name]!);
    numbers(tensor).forEach((value, i) => {
      largest = Math.max(largest, Math.abs(value - values[i]!));
    });
  }
  console.log(`  largest difference in ${ours.length} tensors: ${largest.toExponential(1)}`);
  if (!(largest < 1e-5)) process.exitCode = 1;
}

disconnect();
try {
  connect();
  const finished = async (name: string, run: Run) => {
    const { codes, errors } = await train(name, run);
    if (codes.some((code) => code !== 0)) throw new Error(`${name}: processes ended with ${codes}\n${errors}`);
  };
  await finished('one', {});
  console.log(`${STEPS} steps on two hosts of two processes each`);
  await finished('two', { each: 2 });
  compare('two');
  console.log('the same with --shard');
  await finished('shard', { each: 2, shard: true });
  compare('shard');
  console.log('the second host goes down after 20 steps');
  const { codes, errors } = await train('down', { each: 2, until: 20 });
  console.log(`  processes ended with ${codes}`);
  console.log(
    errors
      .split('\n')
      .filter((line) => line.includes('another process'))
      .map((line) => `  ${line}`)
      .join('\n'),
  );
  console.log('and training goes on with one process each');
  await finished('down', { each: 1 });
  compare('down');
} finally {
  disconnect();
  rmSync(folder, { recursive: true });
}
