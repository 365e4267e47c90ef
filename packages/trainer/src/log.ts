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
 */
export async function* logTo(
  events: AsyncIterable<TrainingEvent>,
  ...sinks: readonly LogSink[]
): AsyncGenerator<TrainingEvent, void, undefined> {
  try {
    for await (const event of events) {
      for (const sink of sinks) await sink.write(event);
      yield event;
    }
  } finally {
    for (const sink of sinks) await sink.close();
  }
}
