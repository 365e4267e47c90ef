import { describe, expect, it } from 'vitest';
import { searchMiddleLevels, ternarySearch } from '../src';

describe('ternary search', () => {
  it('closes in on the smallest score, two scores an iteration', async () => {
    const asked: number[] = [];
    const score = async (x: number) => {
      asked.push(x);
      return (x - 0.87) ** 2;
    };
    const { setting, score: best, trials } = await ternarySearch(score, { low: 0.5, high: 1, iterations: 12 });
    expect(Math.abs(setting - 0.87)).toBeLessThan(0.5 * (2 / 3) ** 12);
    expect(asked).toHaveLength(24);
    expect(trials.map(({ setting }) => setting)).toEqual(asked);
    expect(best).toBe(Math.min(...trials.map((trial) => trial.score)));
  });

  it('returns the best that was tried even where the score is noisy', async () => {
    const { score, trials } = await ternarySearch((x) => Math.sin(50 * x), { low: 0, high: 1 });
    expect(score).toBe(Math.min(...trials.map((trial) => trial.score)));
  });

  it('refuses what it cannot search', async () => {
    await expect(ternarySearch((x) => x, { low: 1, high: 1 })).rejects.toThrow('low is 1, expected below high, 1');
    await expect(ternarySearch(() => Number.NaN, { low: 0, high: 3 })).rejects.toThrow('the score of 1 is NaN');
  });
});

describe('greedy search of middle levels', () => {
  const wanted = [2, 0.3];
  const score = (levels: readonly number[]) =>
    wanted.reduce((total, level, i) => total + Math.log((levels[i] ?? 80) / level) ** 2, 0);

  it('finds one level after the other, each below the last', async () => {
    const { setting, trials } = await searchMiddleLevels(score, { count: 2, iterations: 14 });
    expect(setting).toHaveLength(2);
    setting.forEach((level, i) => {
      expect(Math.abs(Math.log(level / wanted[i]!))).toBeLessThan(0.1);
    });
    expect(trials).toHaveLength(56);
    // While the second level is sought, the first is kept.
    expect(new Set(trials.slice(28).map((trial) => trial.setting[0]))).toEqual(new Set([setting[0]]));
  });

  it('stays between its ends', async () => {
    const { setting } = await searchMiddleLevels(score, { count: 1, sigmaMin: 0.1, sigmaMax: 1 });
    expect(setting[0]).toBeGreaterThan(0.1);
    expect(setting[0]).toBeLessThan(1);
    await expect(searchMiddleLevels(score, { count: 0 })).rejects.toThrow('count is 0');
  });
});
