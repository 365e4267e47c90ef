/** Does a piece of work, where there is one. */
export type Task = () => Promise<void> | undefined;

/**
 * Runs tasks one at a time: always the first of the list that has work. Between two pieces the page gets its turn, so that a drag is never behind.
 *
 * @param onError Told what a task threw; the others go on when they are woken again.
 * @returns to be called whenever there may be work
 */
export function urgentFirst(tasks: readonly Task[], onError: (error: unknown) => void): () => void {
  let running = false;
  const next = () => {
    for (const task of tasks) {
      const work = task();
      if (work) return work;
    }
    return undefined;
  };
  const run = async () => {
    if (running) return;
    running = true;
    try {
      for (let work = next(); work; work = next()) {
        await work;
        await new Promise((resolve) => setTimeout(resolve));
      }
    } catch (error) {
      onError(error);
    } finally {
      running = false;
    }
  };
  return () => void run();
}
