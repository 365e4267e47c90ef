import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { markdownTable } from '../tools/testing/src/markdown';
import { type Origin, origin } from '../tools/testing/src/origin';
import { plainEnvironment } from './process';
import { shown } from './results';

/** What a kernel did in a step. */
export interface Work {
  readonly calls: number;
  readonly flops: number;
  /** Read and written. */
  readonly bytes: number;
  readonly ms: number;
}

/** A training step beside what the machine allows. */
export interface Roofline {
  readonly title: string;
  readonly rows: number;
  /** Versions and threads. */
  readonly about: string;
  /** FLOPs by the network's own definition: four forward passes' of every row. */
  readonly definition: number;
  /** FLOPs a second of a float32 matrix product of 2,048, and bytes a second of adding two tensors of 128 MiB: the fastest of eight. */
  readonly peakFlops: number;
  readonly peakBytes: number;
  /** Of the step whose kernels' time was the middle one of three. */
  readonly kernels: Readonly<Record<string, Work>>;
  /** The step by the clock. */
  readonly ms: number;
}

/** What `pnpm bench` keeps of it. */
export interface Rooflines {
  readonly origin: Origin;
  readonly networks: readonly Roofline[];
}

/** Measures both networks, each in a process of its own. */
export async function measureRooflines(): Promise<Rooflines> {
  const began = origin();
  const script = fileURLToPath(new URL('roofline-process.ts', import.meta.url));
  const networks: Roofline[] = [];
  for (const network of ['edm2-s', 'ddpmpp']) {
    console.error(`roofline: ${network}`);
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', script, network], {
      env: plainEnvironment(),
    });
    networks.push(JSON.parse(stdout.slice(stdout.indexOf('{"title"'))) as Roofline);
  }
  return { origin: began, networks };
}

/** Names that readers of the paper know. */
const titles: Readonly<Record<string, string>> = {
  Conv2D: 'convolutions',
  Conv2DBackpropFilter: 'their gradients by the filter',
  Conv2DBackpropInput: 'their gradients by the input',
};

const none: Work = { calls: 0, flops: 0, bytes: 0, ms: 0 };
const sum = (all: readonly Work[]): Work =>
  all.reduce(
    (a, b) => ({ calls: a.calls + b.calls, flops: a.flops + b.flops, bytes: a.bytes + b.bytes, ms: a.ms + b.ms }),
    none,
  );

/** Milliseconds that arithmetic or memory needs at least, whichever is more. */
export const leastTime = ({ flops, bytes }: Work, { peakFlops, peakBytes }: Roofline) =>
  1000 * Math.max(flops / peakFlops, bytes / peakBytes);

/** A network's table: every kernel that takes a hundredth of the kernels' time or more, and the others together. */
export function rooflineTable(roofline: Roofline): string {
  const { title, rows, about, definition, kernels, peakFlops, peakBytes, ms } = roofline;
  const all = sum(Object.values(kernels));
  const sorted = Object.entries(kernels).sort(([, one], [, other]) => other.ms - one.ms);
  const large = sorted.filter(([, work]) => work.ms >= all.ms / 100);
  const others = sorted.filter(([, work]) => work.ms < all.ms / 100).map(([, work]) => work);
  const row = (name: string, work: Work, least: number) => [
    name,
    shown(work.calls),
    work.flops >= 5e7 ? shown(work.flops / 1e9) : '',
    shown(work.bytes / 1e9),
    work.flops >= 5e7 ? shown(Math.round(work.flops / work.bytes)) : '',
    shown(least),
    shown(work.ms),
    `${((100 * work.ms) / all.ms).toFixed(1)} %`,
    `${((100 * least) / work.ms).toFixed(0)} %`,
  ];
  const least = (works: readonly Work[]) => works.reduce((total, work) => total + leastTime(work, roofline), 0);
  const table = markdownTable(
    [
      `${title}, ${rows} images`,
      'calls',
      'GFLOP',
      'GB',
      'FLOP a byte',
      'least, ms',
      'measured, ms',
      'of the time',
      'of the roof',
    ],
    [
      ...large.map(([name, work]) => row(titles[name] ?? `\`${name}\``, work, leastTime(work, roofline))),
      ...(others.length > 0 ? [row(`${others.length} other kernels`, sum(others), least(others))] : []),
      row('**all kernels**', all, least(Object.values(kernels))),
    ],
  );
  return `${table}

By the network’s definition ${shown(definition / 1e9)} GFLOP, by its kernels ${shown(all.flops / 1e9)}; ${shown(ms)} ms by the clock, ${shown((definition / ms) * 1e-6)} GFLOP/s. In the same run: ${shown(peakFlops / 1e9)} GFLOP/s (a float32 matrix product of 2,048)
and ${shown(peakBytes / 1e9)} GB/s (adding tensors of 128 MiB), so that from ${shown(peakFlops / peakBytes)} FLOPs a byte on arithmetic is what counts. ${about}.`;
}
