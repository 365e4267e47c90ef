import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { slope } from '../curves';
import { start } from '../process';
import { type Results, summary, table } from '../results';
import { suites } from '../suite';

describe('the benchmark', () => {
  it('measures in processes that take turns', async () => {
    const { cases, measure, end } = await start({ script: 'suites/normal.ts' }, 'none');
    expect(cases).toEqual(['ten million']);
    expect(await measure('ten million')).toBeGreaterThan(0);
    expect(await measure('#peak')).toBeGreaterThan(40);
    await expect(measure('no such case')).rejects.toThrow();
    end();
  });

  it('says which process did not start', async () => {
    await expect(start({ script: 'suites/normal.py', args: ['numpy'] }, 'no-such-python')).rejects.toThrow(
      'suites/normal.py numpy ended',
    );
  });

  it('tabulates medians, and how much faster the fastest is than the fastest rival', () => {
    const suite = suites.find(({ name }) => name === 'random')!;
    const [ours, theirs] = [summary([3, 1, 2]), summary([5, 4, 6])];
    expect(ours).toEqual({ minimum: 1, median: 2, maximum: 3 });
    const results: Results = {
      ...{ suite: 'random', unit: 'ms', rounds: 3, machine: 'a machine', commit: '0', failed: {} },
      cases: { 'ten million': { '@cm/random': ours, NumPy: theirs } },
      peak: { '@cm/random': 100 },
    };
    expect(table(suite, results).split('\n')).toEqual([
      '| Ten million normal numbers (ms) | @cm/random | NumPy | faster |',
      '| --- | --: | --: | --: |',
      '| ten million | 2 (1–3) | 5 (4–6) | 2.50 × |',
      '| peak resident memory, MiB | 100 |  |  |',
    ]);
  });

  it('fits exponents', () => {
    expect(slope([1, 2, 4, 8].map((at) => ({ at, value: 3 * at ** 1.5 })))).toBeCloseTo(1.5, 10);
  });

  it('has a script for every participant', async () => {
    const { existsSync } = await import('node:fs');
    for (const { participants } of suites) {
      for (const { script } of Object.values(participants)) {
        expect(existsSync(fileURLToPath(new URL(`../${script}`, import.meta.url))), script).toBe(true);
      }
    }
  });
});
