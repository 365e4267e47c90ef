import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { slope } from '../curves';
import { measureSuite } from '../measure';
import { blocks, pages, resultsPage, withBlocks } from '../pages';
import { plainEnvironment, start } from '../process';
import { bestOf, type Results, speedup, summary, table } from '../results';
import { leastTime, type Roofline, rooflineTable } from '../roofline';
import { type Scaling, scalingTable } from '../scaling';
import { scripts } from '../scripts';
import { type Suite, suites } from '../suite';

const path = (file: string) => fileURLToPath(new URL(`../${file}`, import.meta.url));
const participant = (...args: string[]) => ({ script: 'test/participant.ts', args });
const suite = (participants: Suite['participants'], more: Partial<Suite> = {}): Suite => ({
  ...{ name: 'a suite', title: 'Work', unit: 'ms', rounds: 3, participants },
  ...more,
});
const cells = (line: string) =>
  line
    .slice(1, -1)
    .split('|')
    .map((cell) => cell.trim());
const origin = {
  ...{ date: '2026-01-01T00:00', commit: 'abc', processor: 'a processor', threads: 2, memory: 8 },
  ...{ system: 'linux', node: '20', load: 0 },
};

describe('processes that measure', () => {
  it('announce their cases, and answer until they are ended', async () => {
    const { cases, about, measure, check, end } = await start({ script: 'suites/normal.ts' }, { python: 'none' });
    expect(cases).toEqual(['ten million']);
    expect(about).toBe(`Node ${process.versions.node}`);
    expect(await measure('ten million')).toBeGreaterThan(0);
    expect(await measure('#peak')).toBeGreaterThan(40);
    expect(await check()).toEqual([]);
    await expect(measure('no such case')).rejects.toThrow();
    end();
  });

  it('are named when they do not start', async () => {
    await expect(start({ script: 'suites/normal.py', args: ['numpy'] }, { python: 'no-such-python' })).rejects.toThrow(
      'suites/normal.py numpy ended',
    );
  });

  it('are killed when they do not answer', async () => {
    const { measure } = await start(participant('hangs'), { python: 'none', minutes: 0.01 });
    await expect(measure('work')).rejects.toThrow('test/participant.ts hangs did not answer in 0.01 minutes');
  });

  it('get no variable that steers a library', () => {
    const given = { PATH: '/bin', OPENBLAS_CORETYPE: 'Haswell', NVPL_BLAS_DEBUG_CPU_TYPE: '1', OMP_NUM_THREADS: '1' };
    expect(plainEnvironment(given)).toEqual({ PATH: '/bin' });
  });
});

describe('a suite', () => {
  it('is measured in turns, the order reversed every second round', async () => {
    const said: string[] = [];
    const results = await measureSuite(
      suite({ ours: participant('1', '5'), theirs: { ...participant('2', '5'), rival: true } }),
      { python: 'none', onProgress: (text) => said.push(text) },
    );
    const order = said.map((text) => /, (ours|theirs):/.exec(text)?.[1]);
    expect(order).toEqual(['ours', 'theirs', 'theirs', 'ours', 'ours', 'theirs']);
    expect(results.cases).toEqual({ work: { ours: summary([1, 1, 1]), theirs: summary([2, 2, 2]) } });
    expect(results).toMatchObject({ rounds: 3, failed: {}, deviation: { ours: 0, theirs: 0 } });
    expect(results.about.ours).toBe('a participant');
  });

  it('goes on without participants that do not start, fail or die, and says why', async () => {
    const results = await measureSuite(
      suite({
        ours: participant('1', '5'),
        absent: participant('absent'),
        failing: participant('fails'),
        dying: participant('dies'),
      }),
      { python: 'none', rounds: 2 },
    );
    expect(Object.keys(results.cases.work!)).toEqual(['ours']);
    expect(results.failed).toEqual({
      absent: 'test/participant.ts absent ended: Error: not set up',
      failing: 'work: cannot',
      dying: 'work: test/participant.ts dies ended',
    });
  });

  it('has no figures of a participant that computes something else', async () => {
    const results = await measureSuite(
      suite({
        same: participant('1', '5.001'),
        other: participant('1', '5.1'),
        coarse: { ...participant('1', '5.1'), coarse: true },
        nothing: participant('1', 'NaN'),
        theirs: { ...participant('2', '5'), rival: true },
      }),
      { python: 'none', rounds: 1 },
    );
    expect(Object.keys(results.cases.work!)).toEqual(['same', 'coarse', 'theirs']);
    expect(results.failed.other).toBe('what it computed differs by 0.020, expected 0.001 at most');
    expect(results.failed.nothing).toBe('what it computed differs by NaN, expected 0.001 at most');
  });

  it('gives all the same inputs, and tells items a second', async () => {
    const measured = suite(
      { ours: participant('input', '5'), theirs: { ...participant('input', '5'), rival: true } },
      { inputs: 'test/inputs.ts', unit: 'images/s', items: 16 },
    );
    const results = await measureSuite(measured, { python: 'none', rounds: 1 });
    // The file says 4 ms.
    expect(results.cases.work!.ours!.median).toBe(4000);
  });
});

describe('results', () => {
  it('are least, middle and greatest', () => {
    expect(summary([3, 1, 2])).toEqual({ minimum: 1, median: 2, maximum: 3 });
    expect(summary([4, 1, 2, 3]).median).toBe(2.5);
  });

  it('compare the best with the best rival, by the unit', () => {
    const row = { a: { median: 2 }, b: { median: 4 }, c: { median: 5 }, d: { median: 8 } };
    const rival = { ...participant(), rival: true };
    const participants = { a: participant(), b: participant(), c: rival, d: rival };
    expect(speedup(suite(participants), row)).toBe(2.5);
    expect(speedup(suite(participants, { unit: 'images/s' }), row)).toBe(0.5);
    expect(bestOf(suite(participants, { unit: 'images/s' }), row).ours!.participant).toBe('b');
    expect(speedup(suite({ a: participant() }), row)).toBeUndefined();
  });

  it('become a table', () => {
    const participants = { ours: participant(), theirs: { ...participant(), rival: true } };
    const results: Results = {
      ...{ suite: 'a suite', unit: 'ms', rounds: 3, origin, about: {}, deviation: {}, failed: {} },
      cases: { work: { ours: summary([2000, 1000, 3000]), theirs: summary([5000, 4000, 6000]) } },
      peak: { ours: 100 },
    };
    expect(table(suite(participants), results).split('\n')).toEqual([
      '| Work       |            work, ms | peak memory, MiB |',
      '| ---------- | ------------------: | ---------------: |',
      '| ours       | 2,000 (1,000–3,000) |              100 |',
      '| _theirs_   | 5,000 (4,000–6,000) |                  |',
      '| **faster** |              2.50 × |                  |',
    ]);
  });

  it('fit exponents', () => {
    expect(slope([1, 2, 4, 8].map((at) => ({ at, value: 3 * at ** 1.5 })))).toBeCloseTo(1.5, 10);
  });

  it('put a kernel beside the least time that arithmetic or memory allows', () => {
    const roofline: Roofline = {
      ...{ title: 'A network', rows: 2, about: 'a library', definition: 1e9, peakFlops: 1e11, peakBytes: 1e10, ms: 50 },
      kernels: {
        Conv2D: { calls: 2, flops: 2e9, bytes: 1e6, ms: 40 },
        Add: { calls: 9, flops: 0, bytes: 2e7, ms: 8 },
        Small: { calls: 1, flops: 0, bytes: 1e3, ms: 0.1 },
      },
    };
    expect(leastTime(roofline.kernels.Conv2D!, roofline)).toBeCloseTo(20);
    expect(leastTime(roofline.kernels.Add!, roofline)).toBeCloseTo(2);
    const lines = rooflineTable(roofline).split('\n');
    expect(cells(lines[2]!)).toEqual(['convolutions', '2', '2', '0', '2,000', '20', '40', '83.2 %', '50 %']);
    expect(lines[4]).toContain('1 other kernels');
    expect(lines[5]).toContain('**all kernels**');
  });

  it('put several processes beside one', () => {
    const timings = { reduce: 1, gather: 1, gatherOfClasses: 1, megabytes: 16 };
    const scaling: Scaling = {
      ...{ origin, processes: 2 },
      runs: {
        one: { processes: 1, batch: 8, step: 800, ...timings },
        'as many images in each': { processes: 2, batch: 16, step: 1000, ...timings },
      },
    };
    expect(cells(scalingTable(scaling).split('\n')[3]!)).toEqual(['2', '16', '1,000', '16', '1', '1', '1', '80 %']);
  });
});

describe('pages', () => {
  it('have blocks that are replaced, and nothing else', () => {
    const page = 'Words.\n<!-- bench: one -->\n\nold\n\n<!-- /bench -->\nMore.\n';
    expect(withBlocks(page, { one: 'new' })).toBe('Words.\n<!-- bench: one -->\n\nnew\n\n<!-- /bench -->\nMore.\n');
    expect(() => withBlocks(page, {})).toThrow('there is no block one');
  });

  it('say what the results that are kept say', async () => {
    const given = await blocks();
    expect(await readFile(path('results/README.md'), 'utf8')).toBe(resultsPage(given));
    expect(pages).toContain('docs/performance.md');
    for (const page of pages) {
      const text = await readFile(path(`../${page}`), 'utf8');
      expect(text).toBe(withBlocks(text, given));
    }
  });

  it('that state a speed or memory name the command that measures it', () => {
    const listed = execFileSync('git', ['ls-files', '*.md'], { encoding: 'utf8', cwd: path('..') }).split('\n');
    const stated = listed.filter((file) => {
      if (!file || /CHANGELOG|^\.changeset|^bench\/results/.test(file)) return false;
      const text = readFileSync(path(`../${file}`), 'utf8');
      const figure = /\d ?(ms|µs|GFLOP\/s|[GM]B\/s|images\/s|MiB)\b/.test(text);
      return figure && !/pnpm bench|\.bench\.ts/.test(text);
    });
    expect(stated).toEqual([]);
  });

  it('come from scripts that are there', () => {
    for (const { script } of scripts) expect(existsSync(path(`../${script}`)), script).toBe(true);
    for (const { participants, inputs } of suites) {
      for (const { script } of Object.values(participants)) expect(existsSync(path(script)), script).toBe(true);
      if (inputs) expect(existsSync(path(inputs)), inputs).toBe(true);
    }
  });
});
