import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { markdownTable } from '../tools/testing/src/markdown';
import { type Origin, origin } from '../tools/testing/src/origin';
import { plainEnvironment } from './process';
import { shown } from './results';

interface Run {
  readonly processes: number;
  readonly batch: number;
}
/** What is tried beside: gradients summed while a step is computed, or moments and the average shared out. */
export type Trial = 'overlap' | 'shard';

/** What a process says of its steps: milliseconds of each part, the median. */
export interface Timings {
  readonly step: number;
  readonly reduce: number;
  readonly gather: number;
  /** The references of rows' own classes, of ten. */
  readonly gatherOfClasses: number;
  /** Of the sum's time, while a step was computed: where that was tried. */
  readonly hidden?: number;
  readonly megabytes: number;
}

const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

/** Steps in processes of one thread each. */
export async function run({ processes, batch }: Run, trial?: Trial): Promise<Timings> {
  const port = await freePort();
  const script = fileURLToPath(new URL('scaling-process.ts', import.meta.url));
  const said = Array.from({ length: processes }, (_, rank) => {
    const child = spawn(process.execPath, ['--import', 'tsx', script, String(batch), trial ?? ''], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        ...plainEnvironment(),
        RANK: String(rank),
        LOCAL_RANK: String(rank),
        WORLD_SIZE: String(processes),
        MASTER_ADDR: '127.0.0.1',
        MASTER_PORT: String(port),
      },
    });
    return new Promise<Timings>((resolve, reject) => {
      let text = '';
      child.stdout.on('data', (data) => {
        text += data;
      });
      child.on('close', (code) => {
        const line = text.split('\n').find((each) => each.startsWith('{'));
        if (line) resolve(JSON.parse(line));
        else reject(new Error(`process ${rank} of ${processes} ended with ${code}`));
      });
    });
  });
  return (await Promise.all(said))[0]!;
}

/** What `pnpm bench` keeps of it. */
export interface Scaling {
  readonly origin: Origin;
  readonly processes: number;
  readonly runs: Readonly<Record<string, Run & Timings>>;
}

/**
 * Measures what several processes of one thread each are worth on this machine, against one of one thread: steps of consistency training with the
 * stable target over the batch of all.
 */
export async function measureScaling(processes = 2, images = 8): Promise<Scaling> {
  const began = origin();
  const all = processes * images;
  const runs: Record<string, Run> = {
    one: { processes: 1, batch: images },
    'as many images in each': { processes, batch: all },
    'one, all images': { processes: 1, batch: all },
    'its images, shared': { processes, batch: all },
  };
  const measured: Record<string, Run & Timings> = {};
  for (const [name, each] of Object.entries(runs)) {
    measured[name] = { ...each, ...(await run(each)) };
    console.error(`scaling: ${name}: ${measured[name].step.toFixed(0)} ms`);
  }
  return { origin: began, processes, runs: measured };
}

/** The runs and what of several times one process's speed they reach. */
export function scalingTable({ processes, runs }: Scaling): string {
  const digits = (value: number) => shown(Number(value.toPrecision(4)));
  const speed = ({ batch, step }: Run & Timings) => batch / step;
  const baseline: Record<string, string> = { 'as many images in each': 'one', 'its images, shared': 'one, all images' };
  const rows = Object.entries(runs).map(([name, each]) => {
    const one = baseline[name];
    return [
      String(each.processes),
      String(each.batch),
      digits(each.step),
      digits(1000 * speed(each)),
      digits(each.reduce),
      digits(each.gather),
      digits(each.gatherOfClasses),
      one ? `${((100 * speed(each)) / speed(runs[one]!) / processes).toFixed(0)} %` : '',
    ];
  });
  const megabytes = digits(Object.values(runs)[0]!.megabytes);
  const head = ['processes', 'batch', 'step, ms', 'images/s', `sum, ${megabytes} MB, ms`];
  return markdownTable([...head, 'references, ms', 'of class, ms', 'efficiency'], rows);
}
