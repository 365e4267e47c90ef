import type { TrainingState } from './state';

/** Where in training something happened. */
export interface Position {
  /** Steps taken. */
  readonly step: number;
  /** Images seen. */
  readonly images: number;
}

/** Why a snapshot is taken: it is due, training is half done (the weak model of guidance), or no evaluation was better. */
export type SnapshotMoment = 'regular' | 'halfway' | 'best';

/** A step was taken. */
export interface StepEvent extends Position {
  readonly type: 'step';
  readonly totalImages: number;
  readonly loss: number;
  readonly learningRate: number;
  /** Over the last steps, without evaluations and saving. */
  readonly imagesPerSecond: number;
  /** At that rate. */
  readonly secondsLeft: number;
  /** Seconds of this step spent waiting for its batch. */
  readonly secondsWaited: number;
  /** Bytes of all tensors after the step. */
  readonly bytes: number;
  /** How many values of the gradient were not finite and counted as 0. */
  readonly cleaned: number;
  /** The objective's numbers: of consistency training the `stage`, the mean `ratio` r/t, the stable target's `effectiveSampleSize`. */
  readonly stats: Readonly<Record<string, number>>;
}

/** What a trainer reports, in order. All that concerns a step comes before the state after that step is saved. */
export type TrainingEvent =
  /** First of all: the state that it goes on from, step 0 for a new run. */
  | (Position & { readonly type: 'started'; readonly totalImages: number })
  | StepEvent
  | (Position & {
      readonly type: 'evaluated';
      readonly metrics: Readonly<Record<string, number>>;
      /** Whether no evaluation before had a lower value of the metric that decides. */
      readonly best: boolean;
    })
  | (Position & { readonly type: 'snapshot'; readonly moment: SnapshotMoment; readonly files: readonly string[] })
  | (Position & { readonly type: 'saved'; readonly file: string })
  /** Last of all. */
  | (Position & { readonly type: 'stopped'; readonly reason: 'finished' | 'aborted' });

/** A state's position. */
export const positionOf = ({ step, images }: TrainingState): Position => ({ step, images });

/**
 * A step in one line for a terminal: progress, images a second, time left, loss, learning rate, the objective's numbers, memory.
 */
export function progressLine(event: StepEvent): string {
  const { images, totalImages, imagesPerSecond, secondsLeft, loss, learningRate, stats, bytes, cleaned } = event;
  const count = (value: number) => value.toLocaleString('en');
  const parts = [
    `${count(images)}/${count(totalImages)} images`,
    `${imagesPerSecond.toPrecision(3)} images/s`,
    `${duration(secondsLeft)} left`,
    `loss ${loss.toPrecision(4)}`,
    `lr ${learningRate.toExponential(1)}`,
    ...Object.entries(stats).map(([name, value]) => `${name} ${Number(value.toPrecision(4))}`),
    `${(bytes / 2 ** 20).toFixed(0)} MiB`,
    ...(cleaned > 0 ? [`${count(cleaned)} gradients not finite`] : []),
  ];
  return parts.join('  ');
}

function duration(seconds: number): string {
  const units = [
    ['d', 86_400],
    ['h', 3600],
    ['min', 60],
  ] as const;
  const [unit, size] = units.find(([, size]) => seconds >= 2 * size) ?? ['s', 1];
  return `${Math.round(seconds / size)} ${unit}`;
}
