/** A line on the standard error that is written over; where that is no terminal, a line every 20 seconds. */
export function progressLine(): { show: (text: string) => void; end: () => void } {
  const { stderr } = process;
  let last = Number.NEGATIVE_INFINITY;
  return {
    show(text) {
      const now = performance.now();
      if (now - last < (stderr.isTTY ? 100 : 20_000)) return;
      last = now;
      stderr.write(stderr.isTTY ? `\r\x1b[K${text}` : `${text}\n`);
    },
    end: () => void (stderr.isTTY && stderr.write('\r\x1b[K')),
  };
}
