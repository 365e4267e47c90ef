import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { MethodName } from './methods';
import type { Options } from './options';
import type { Progress } from './progress';

/** A part of the quickstart that runs in a process of its own, so that two cores carry two of them. */
export type Job = { readonly kind: 'baseline' } | { readonly kind: 'tune'; readonly method: MethodName };

/** What a job's process tells its parent. */
export type JobMessage =
  | { readonly type: 'progress'; readonly progress: Progress }
  | { readonly type: 'stopped' }
  | { readonly type: 'failed'; readonly message: string };

/** What a job is given. */
export interface JobContext {
  readonly options: Options;
  /** Aborts with {@link Stopped} as its reason. */
  readonly signal: AbortSignal;
  readonly onProgress: (progress: Progress) => void;
}

/** Thrown where a job stops because it was asked to, its state saved. */
export class Stopped extends Error {
  override name = 'Stopped';
}

/** A job's name, and that of its folder. */
export const jobName = (job: Job) => (job.kind === 'tune' ? job.method : 'baseline');

/** How a set of jobs ended. */
export type Outcome =
  | { readonly type: 'done' }
  | { readonly type: 'stopped' }
  | { readonly type: 'failed'; readonly message: string };

/**
 * Runs jobs, at most `parallel` at a time, each in a process of its own. An abort asks the running ones to save and
 * stop, and starts no more; a job that fails stops the others.
 */
export async function runJobs(
  jobs: readonly Job[],
  options: Options,
  {
    parallel,
    signal,
    onProgress,
  }: { parallel: number; signal: AbortSignal; onProgress: (job: Job, p: Progress) => void },
): Promise<Outcome> {
  const waiting = [...jobs];
  const running = new Set<ChildProcess>();
  let outcome: Outcome = { type: 'done' };
  const stop = (reason: Outcome) => {
    if (outcome.type === 'done') outcome = reason;
    for (const child of running) {
      // One that is ending by itself may be gone before the message reaches it.
      if (child.connected) child.send('stop', () => {});
    }
  };
  signal.addEventListener('abort', () => stop({ type: 'stopped' }));

  const work = async () => {
    while (outcome.type === 'done') {
      const job = waiting.shift();
      if (!job) return;
      const child = fork(fileURLToPath(new URL('job.ts', import.meta.url)), [JSON.stringify({ job, options })], {
        execArgv: ['--import', 'tsx'],
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      });
      running.add(child);
      child.on('message', (message: JobMessage) => {
        if (message.type === 'progress') onProgress(job, message.progress);
        else stop(message);
      });
      const code = await new Promise<number | null>((resolve) => child.on('exit', resolve));
      running.delete(child);
      if (code !== 0)
        stop({ type: 'failed', message: `${jobName(job)}: the process ended with ${code ?? 'a signal'}` });
    }
  };
  await Promise.all(Array.from({ length: parallel }, work));
  return outcome;
}
