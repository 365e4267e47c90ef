import { TrainingError } from './error';
import type { TrainingEvent } from './events';

/** Something that keeps events: `jsonLines` and `tensorBoard` of `@cm/trainer/node`, or a service of your own. */
export interface LogSink {
  /** Given every event in order, a `started` one first. What the sink has of steps after that one's is of a history that was not saved. */
  write(event: TrainingEvent): void | Promise<void>;
  /** Called once, when there are no more events. */
  close(): void | Promise<void>;
}

/**
 * The events of a trainer, each written to the sinks before it is passed on, and so before the state after it is saved. The sinks are closed at
 * the end, however it comes.
 *
 * @throws TrainingError `save-failed` when a sink cannot write, as on a full disk; what the events throw
 */
export async function* logTo(
  events: AsyncIterable<TrainingEvent>,
  ...sinks: readonly LogSink[]
): AsyncGenerator<TrainingEvent, void, undefined> {
  let saved = 'No state was saved in this run';
  try {
    for await (const event of events) {
      if (event.type === 'saved') saved = `The newest saved state is ${event.file}`;
      try {
        for (const sink of sinks) await sink.write(event);
      } catch (error) {
        const at = `Training stopped after ${event.step} steps (${event.images} images)`;
        const message = `the log could not be written: ${(error as Error).message}. ${at}. ${saved}.`;
        throw new TrainingError('save-failed', message, { cause: error });
      }
      yield event;
    }
  } finally {
    for (const sink of sinks) await sink.close();
  }
}
