import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

// What several processes of one thread each are worth on this machine, against one of one thread: a consistency-training step with the stable target over
// the batch of all. From the repository's root: npx tsx bench/scaling.ts [processes] [images of a process]

const size = Number(process.argv[2] ?? 2);
const images = Number(process.argv[3] ?? 8);

interface Run {
  readonly processes: number;
  readonly batch: number;
}
/** What a process says of its steps: milliseconds of each part, the median. */
export interface Timings {
  readonly step: number;
  readonly reduce: number;
  readonly gather: number;
  readonly megabytes: number;
}

const freePort = () =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

async function run({ processes, batch }: Run): Promise<Timings> {
  const port = await freePort();
  const script = fileURLToPath(new URL('scaling-process.ts', import.meta.url));
  const said = Array.from({ length: processes }, (_, rank) => {
    const child = spawn(process.execPath, ['--import', 'tsx', script, String(batch)], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        ...process.env,
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

const runs: Record<string, Run> = {
  'one process': { processes: 1, batch: images },
  'the same images in each': { processes: size, batch: size * images },
  'one process, all images': { processes: 1, batch: size * images },
  'its images, shared': { processes: size, batch: size * images },
};
const rows: Record<string, Record<string, string | number>> = {};
const measured: Record<string, Timings> = {};
for (const [name, each] of Object.entries(runs)) {
  const timings = await run(each);
  measured[name] = timings;
  rows[name] = {
    processes: each.processes,
    batch: each.batch,
    'step, ms': Math.round(timings.step),
    'images/s': Number(((1000 * each.batch) / timings.step).toFixed(2)),
    'all-reduce, ms': timings.reduce.toFixed(1),
    'of MB': timings.megabytes.toFixed(1),
    'references, ms': timings.gather.toFixed(1),
  };
}
console.table(rows);
const speed = (name: string) => runs[name]!.batch / measured[name]!.step;
const efficiency = (many: string, one: string) => `${((100 * speed(many)) / speed(one) / size).toFixed(0)} %`;
console.log(`${size} processes of one thread, against one of one thread:`);
console.log(
  `  as many images in each: ${efficiency('the same images in each', 'one process')} of ${size} times its speed`,
);
console.log(`  its images shared:      ${efficiency('its images, shared', 'one process, all images')}`);
