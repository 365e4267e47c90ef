import { writeFileAtomically } from '@cm/checkpoints/node';
import type { TrainingEvent } from '@cm/trainer';
import { longestKernels, type Profiler, startProfiler } from './profile';

/** How {@link profileSteps} profiles. */
export interface ProfileOptions {
  /** Steps that are recorded, after the first. */
  readonly steps: number;
  /** Told where the trace is, and which kernels took longest. */
  readonly onMessage: (message: string) => void;
}

/**
 * Passes events of training on, and writes a trace of the kernels of some steps to a file: from the end of the first step, which sets things up, or of as many steps as
 * there are.
 */
export async function* profileSteps(
  events: AsyncIterable<TrainingEvent>,
  file: string,
  { steps, onMessage }: ProfileOptions,
): AsyncGenerator<TrainingEvent, void, undefined> {
  let profiler: Profiler | undefined;
  let seen = 0;
  let begin = 0;
  const finish = async () => {
    const trace = profiler?.stop();
    profiler = undefined;
    if (!trace) return;
    await writeFileAtomically(file, Buffer.from(JSON.stringify(trace)));
    onMessage(`profile of ${Math.min(seen - 1, steps)} steps: ${file}; ${longestKernels(trace)}`);
  };
  try {
    for await (const event of events) {
      // Between two events is one thing: a step, an evaluation, the saving of a state.
      profiler?.span(event.type === 'step' ? `step ${event.step}` : event.type, begin);
      if (event.type === 'step') seen++;
      if (seen === steps + 1) await finish();
      if (seen === 1) profiler ??= startProfiler();
      yield event;
      begin = performance.now();
    }
  } finally {
    await finish();
  }
}
