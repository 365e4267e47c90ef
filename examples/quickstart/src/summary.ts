/** Fréchet distance of samples drawn with a number of steps, and the picture of the first of them. */
export interface SampleResult {
  readonly steps: number;
  readonly evaluations: number;
  readonly frechet: number;
  /** Path relative to the run folder. */
  readonly file: string;
}

/** Fréchet distances at a training step, by number of sampling steps. */
export interface CurvePoint {
  readonly step: number;
  readonly frechet: Readonly<Record<number, number>>;
}

/** The outcome of tuning by one method. */
export interface TuningResult {
  readonly title: string;
  readonly curve: readonly CurvePoint[];
  readonly samples: readonly SampleResult[];
  /** Training images a second, evaluations left out. */
  readonly imagesPerSecond: number;
}

/** Mean squared distance of an estimate of E[x_0 | x_t] from the posterior mean over the whole set, per pixel. */
export interface VarianceRow {
  readonly t: number;
  readonly estimator: string;
  readonly variance: number;
}

/** What is measured of the model before tuning, and of the data. */
export interface BaselineResult {
  readonly diffusion: readonly SampleResult[];
  readonly variance: readonly VarianceRow[];
  /** Distance of the real test images: what a perfect model would reach. */
  readonly testFrechet: number;
}

/** All that a run of the quickstart found. */
export interface Summary extends BaselineResult {
  readonly settings: {
    readonly parameters: number;
    readonly resolution: number;
    readonly steps: number;
    readonly batchSize: number;
    readonly samples: number;
    readonly seed: number;
  };
  readonly runs: readonly TuningResult[];
}
