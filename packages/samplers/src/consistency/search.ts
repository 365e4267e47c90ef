import { that, whole } from '../check';

/** What is to be small: a Fréchet distance, or any other metric of the images that a sampler draws with the given setting. */
export type Score<Setting> = (setting: Setting) => number | Promise<number>;

/** A setting and its score. */
export interface Trial<Setting> {
  readonly setting: Setting;
  readonly score: number;
}

/** The best of a search's trials, and all of them in order. */
export interface SearchResult<Setting> extends Trial<Setting> {
  readonly trials: readonly Trial<Setting>[];
}

/** Options of {@link ternarySearch}. */
export interface TernaryOptions {
  readonly low: number;
  readonly high: number;
  /** Each asks for two scores and leaves two thirds of the interval. Default 6. */
  readonly iterations?: number;
}

/**
 * Ternary search for the setting of the smallest score in an interval: exact in the limit where the score falls, then rises. The best setting
 * that was tried is returned, not the interval's middle, which no one has measured. Use one key for all of a metric's images, so that
 * scores differ by the setting alone. For η of phased sampling:
 * `ternarySearch((eta) => distance(samplePhased(model, { …, eta })), { low: 0.5, high: 1 })`.
 *
 * @throws Error when not `low` < `high`, `iterations` is not a whole number above 0, or a score is NaN
 */
export async function ternarySearch(score: Score<number>, options: TernaryOptions): Promise<SearchResult<number>> {
  const where = 'ternarySearch';
  const { iterations = 6 } = options;
  let { low, high } = options;
  that(where, 'low', low, low < high, `below high, ${high}`);
  whole(where, 'iterations', iterations, 1);
  const trials: Trial<number>[] = [];
  const attempt = async (setting: number) => {
    const value = await score(setting);
    that(where, `the score of ${setting}`, value, !Number.isNaN(value), 'a number');
    trials.push({ setting, score: value });
    return value;
  };
  for (let i = 0; i < iterations; i++) {
    const third = (high - low) / 3;
    const [left, right] = [low + third, high - third];
    if ((await attempt(left)) <= (await attempt(right))) high = right;
    else low = left;
  }
  return { ...best(trials), trials };
}

/** Options of {@link searchMiddleLevels}. */
export interface MiddleLevelsOptions {
  /** How many middle levels are sought. */
  readonly count: number;
  /** Where they lie, both ends excluded. Defaults 0.002 and 80. */
  readonly sigmaMin?: number;
  readonly sigmaMax?: number;
  /** Of each level's ternary search. Default 6. */
  readonly iterations?: number;
}

/**
 * Greedy search for the middle noise levels of multistep sampling: the first by ternary search in ln t, then, the first kept, the second below it,
 * and so on. 2·iterations scores a level.
 *
 * @param score gets the middle levels so far, falling, for `sampleMultistep`
 * @throws Error when an option does not fit, or a score is NaN
 * @see Song et al., Consistency Models (arXiv 2303.01469), section 3 and appendix
 *
 * @example
 * ```ts
 * import { searchMiddleLevels } from '@cm/samplers';
 *
 * // Yours: the FID of two-step samples by way of the level. Here: least at 0.8.
 * const { setting } = await searchMiddleLevels(([level]) => Math.log(level! / 0.8) ** 2, { count: 1, iterations: 12 });
 * console.log(setting[0]!.toFixed(1)); // 0.8
 * ```
 */
export async function searchMiddleLevels(
  score: Score<readonly number[]>,
  { count, sigmaMin = 0.002, sigmaMax = 80, iterations = 6 }: MiddleLevelsOptions,
): Promise<SearchResult<readonly number[]>> {
  whole('searchMiddleLevels', 'count', count, 1);
  that('searchMiddleLevels', 'sigmaMin', sigmaMin, sigmaMin > 0 && sigmaMin < sigmaMax, `above 0, below ${sigmaMax}`);
  const trials: Trial<readonly number[]>[] = [];
  let found: Trial<readonly number[]> = { setting: [], score: Number.POSITIVE_INFINITY };
  for (let i = 0; i < count; i++) {
    const above = found.setting;
    const levels = (log: number) => [...above, Math.exp(log)];
    const result = await ternarySearch((log) => score(levels(log)), {
      low: Math.log(sigmaMin),
      high: Math.log(above.at(-1) ?? sigmaMax),
      iterations,
    });
    const tried = result.trials.map((trial) => ({ ...trial, setting: levels(trial.setting) }));
    trials.push(...tried);
    found = best(tried);
  }
  return { ...found, trials };
}

const best = <Setting>(trials: readonly Trial<Setting>[]) => trials.reduce((a, b) => (b.score < a.score ? b : a));
