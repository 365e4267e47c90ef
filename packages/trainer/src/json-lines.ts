import { type FileHandle, mkdir, open, readFile, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { TrainingEvent } from './events';
import type { LogSink } from './log';

/** Options of {@link jsonLines} and {@link tensorBoard}. */
export interface LogOptions {
  /** Log every so many steps. Default 1. */
  readonly every?: number;
}

/** Events that say something about the model. */
export type LoggedEvent = Extract<TrainingEvent, { type: 'step' | 'evaluated' | 'snapshot' }>;

/** Whether an event is one for a log. */
export const isLogged = (event: TrainingEvent, every: number): event is LoggedEvent =>
  (event.type === 'step' && event.step % every === 0) || event.type === 'evaluated' || event.type === 'snapshot';

/**
 * A log of steps, evaluations and snapshots, one JSON object a line: the event, `time` in seconds since 1970, and of steps `processBytes`, the memory
 * that the process holds. When training goes on from a saved state, lines of later steps, and one that a crash cut short, are removed, so that no step
 * comes twice.
 */
export function jsonLines(path: string, { every = 1 }: LogOptions = {}): LogSink {
  let file: FileHandle | undefined;
  const close = async () => {
    await file?.close();
    file = undefined;
  };
  return {
    async write(event) {
      if (event.type === 'started') {
        await close();
        await mkdir(dirname(path), { recursive: true });
        file = await open(path, 'a');
        await truncate(path, lengthUpTo(await readFile(path), event.step));
      }
      if (!file || !isLogged(event, every)) return;
      const measured = {
        time: Date.now() / 1000,
        ...(event.type === 'step' && { processBytes: process.memoryUsage.rss() }),
      };
      await file.appendFile(`${JSON.stringify({ ...event, ...measured })}\n`);
    },
    close,
  };
}

/** Bytes of the whole lines that belong to steps up to the given one; none of a new run. */
function lengthUpTo(log: Buffer, step: number): number {
  if (step === 0) return 0;
  let begin = 0;
  for (;;) {
    const end = log.indexOf('\n', begin);
    if (end < 0) return begin;
    try {
      const line = JSON.parse(log.toString('utf8', begin, end)) as { step: number };
      if (!(line.step <= step)) return begin;
    } catch {
      return begin;
    }
    begin = end + 1;
  }
}
