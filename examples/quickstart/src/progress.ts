import { MultiBar, type SingleBar } from 'cli-progress';

/** What a job reports while it runs. */
export interface Progress {
  readonly step: number;
  readonly steps: number;
  readonly activity: string;
  readonly loss?: number;
  readonly imagesPerSecond?: number;
}

/** Shows the progress of several jobs: bars on a terminal, a line every tenth of the way elsewhere. */
export interface ProgressView {
  update(job: string, progress: Progress): void;
  stop(): void;
}

export function progressView(): ProgressView {
  return process.stdout.isTTY ? bars() : lines();
}

const numbers = ({ loss, imagesPerSecond }: Progress) => [
  ...(loss === undefined ? [] : [`loss ${loss.toFixed(4)}`]),
  ...(imagesPerSecond === undefined ? [] : [`${imagesPerSecond.toFixed(0)} images/s`]),
];

function bars(): ProgressView {
  const multi = new MultiBar({
    format: '{job} {bar} {value}/{total}  {activity}  {numbers}  {left} left',
    hideCursor: true,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 24,
    fps: 5,
    autopadding: true,
  });
  const shown = new Map<string, SingleBar>();
  const left = timeLeft();
  return {
    update(job, progress) {
      const payload = {
        job: job.padEnd(12),
        activity: progress.activity.padEnd(10),
        numbers: numbers(progress).join('  '),
        left: left(job, progress),
      };
      const bar = shown.get(job);
      if (bar) {
        bar.setTotal(progress.steps);
        bar.update(progress.step, payload);
      } else {
        shown.set(job, multi.create(progress.steps, progress.step, payload));
      }
    },
    stop: () => multi.stop(),
  };
}

function lines(): ProgressView {
  const printed = new Map<string, string>();
  const left = timeLeft();
  return {
    update(job, progress) {
      const remaining = left(job, progress);
      const tenth = `${progress.activity} ${Math.floor((10 * progress.step) / progress.steps)}`;
      if (printed.get(job) === tenth) return;
      printed.set(job, tenth);
      const parts = [`${job}: ${progress.activity} ${progress.step}/${progress.steps}`, ...numbers(progress)];
      console.log([...parts, `${remaining} left`].join(', '));
    },
    stop() {},
  };
}

/** The time a job's remaining steps of its present activity will take at the rate seen since that activity began. */
function timeLeft(): (job: string, progress: Progress) => string {
  const begun = new Map<string, { activity: string; step: number; time: number }>();
  return (job, { activity, step, steps }) => {
    const start = begun.get(job);
    if (!start || start.activity !== activity) {
      begun.set(job, { activity, step, time: performance.now() });
      return '–';
    }
    if (step === start.step) return '–';
    const seconds = (((performance.now() - start.time) / (step - start.step)) * (steps - step)) / 1000;
    return seconds >= 60 ? `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s` : `${Math.round(seconds)} s`;
  };
}
