import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';

/** Where and of what numbers were made. */
export interface Origin {
  readonly date: string;
  /** What is checked out, and whether it has changes that are not committed; `unknown` without git. */
  readonly commit: string;
  readonly processor: string;
  readonly threads: number;
  /** Main memory, GiB. */
  readonly memory: number;
  readonly system: string;
  readonly node: string;
  /** What waited for a processor in the minute before, where it was looked at. */
  readonly load?: number;
}

/** Where numbers are made now, and of which commit. What measurements themselves write, results and pages, counts as no change. */
export const origin = (): Origin => ({
  date: new Date().toISOString().slice(0, 16),
  commit: commit(),
  processor: cpus()[0]?.model.trim() || process.arch,
  threads: availableParallelism(),
  memory: Math.round(totalmem() / 2 ** 30),
  system: `${process.platform} ${release()}`,
  node: process.versions.node,
  load: Number(loadavg()[0]!.toFixed(1)),
});

function commit(): string {
  const git = (...args: string[]) =>
    execFileSync('git', args, {
      encoding: 'utf8',
      cwd: import.meta.dirname,
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  try {
    const changed = git(
      'status',
      '--porcelain',
      '--',
      ':/',
      ':!/bench/results',
      ':!/examples/study/results',
      ':!/docs',
      ':(top,exclude,glob)**/README.md',
    );
    return git('rev-parse', '--short', 'HEAD') + (changed ? ' with changes' : '');
  } catch {
    return 'unknown';
  }
}

/** An origin in words. */
export const originText = ({ commit, date, processor, threads, memory, node, load }: Origin) =>
  `${date.slice(0, 10)}, commit ${commit}: ${threads} threads of ${processor}, ${memory} GiB, Node ${node}; load ${load ?? 'unknown'} when it began`;
