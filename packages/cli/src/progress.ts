import type { Output } from './command';

/** How far a count of images is. */
export interface Progress {
  readonly done: number;
  readonly total: number;
  /** Of those that are done, how many an earlier run had done. */
  readonly resumed: number;
}

/** Seconds between two lines of progress. */
const INTERVAL = 10;

/** Says on the standard error, every ten seconds, how many images are done, how fast, and what is left. */
export function countReporter(err: Output['err'], unit = 'images'): (progress: Progress) => void {
  // The first image comes when the source has been read.
  let start: number | undefined;
  let next = INTERVAL;
  return ({ done, total, resumed }) => {
    if (start === undefined && resumed > 0) err(`cm: goes on after ${resumed.toLocaleString('en')} ${unit}\n`);
    start ??= performance.now();
    const seconds = (performance.now() - start) / 1000;
    if (seconds < next) return;
    next = seconds + INTERVAL;
    const rate = (done - resumed) / seconds;
    const minutes = Math.ceil((total - done) / rate / 60);
    const counts = `${done.toLocaleString('en')} of ${total.toLocaleString('en')} ${unit}`;
    const speed = rate < 10 ? rate.toPrecision(2) : Math.round(rate).toLocaleString('en');
    err(`cm: ${counts}, ${speed} a second, ${minutes} min left\n`);
  };
}
