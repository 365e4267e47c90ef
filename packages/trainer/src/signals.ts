/**
 * Aborts at the first SIGINT (Ctrl-C) or SIGTERM, for a trainer to save and leave. A second one ends the process as if nothing listened.
 */
export function stopOnSignals(): AbortSignal {
  const controller = new AbortController();
  const signals = ['SIGINT', 'SIGTERM'] as const;
  const stop = () => {
    for (const signal of signals) process.off(signal, stop);
    controller.abort();
  };
  for (const signal of signals) process.on(signal, stop);
  return controller.signal;
}
