import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';

/** Where and of what numbers were made. */
export interface Origin {
  readonly date: string;
  /** What is checked out, and whether it has changes that are not committed; `unknown` without git. */
  readonly commit: string;
  /** Its name, and the vector instructions that it has where the system tells. */
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
  processor: (cpus()[0]?.model.trim() || process.arch) + vectors(),
  threads: availableParallelism(),
  memory: Math.round(totalmem() / 2 ** 30),
  system: `${process.platform} ${release()}`,
  node: process.versions.node,
  load: Number(loadavg()[0]!.toFixed(1)),
});

/** Virtual machines give processors of different generations the same name. */
function vectors(): string {
  const flags = existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : '';
  const has = (flag: string) => new RegExp(`^flags.*\\b${flag}\\b`, 'm').test(flags);
  if (has('amx_bf16')) return ' (AVX-512, AMX)';
  if (has('avx512f')) return has('avx512_bf16') ? ' (AVX-512 with BF16)' : ' (AVX-512)';
  return has('avx2') ? ' (AVX2)' : '';
}

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
