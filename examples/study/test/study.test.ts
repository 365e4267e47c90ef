import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { imageDataset } from '@cm/datasets';
import { key } from '@cm/random';
import { referenceSet } from '@cm/stable-target';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { digits } from '../src/digits';
import { startEngine } from '../src/engine';
import { estimatorErrors } from '../src/estimator-errors';
import { estimators } from '../src/estimators';
import { guidance } from '../src/guidance';
import { phases } from '../src/phases';
import { posterior } from '../src/posterior';
import { references } from '../src/references';
import { schedules } from '../src/schedules';
import { type CommonSettings, runStudy, type Study } from '../src/study';

let folder: string;
beforeAll(async () => {
  await startEngine();
  folder = mkdtempSync(join(tmpdir(), 'study-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('errors of estimators', () => {
  // Two images of one pixel, −1 and 1: everything is known.
  const dataset = imageDataset({
    images: new Uint8Array([0, 255]),
    shape: [2, 1, 1, 1],
    labels: new Int32Array([0, 1]),
  });

  function errors(draws: number) {
    const whole = referenceSet(dataset);
    const all = estimatorErrors({
      dataset,
      whole,
      t: 1.2,
      rows: 64,
      draws,
      references: [2],
      key: key(5),
      diffusion: (x) => tf.zerosLike(x),
    });
    whole.dispose();
    return Object.fromEntries(all.map((error) => [error.estimator, error]));
  }

  it('agree with what two images give in closed form', () => {
    const found = errors(150);
    const one = found['the one sample']!;
    const zero = found['the diffusion model']!;
    // Given x_t the sample is ±1 with mean m = tanh(x_t/t²): variance 1 − m², and 0 is as far as m² from the mean.
    expect(one.variance + zero.bias).toBeCloseTo(1, 1);
    expect(zero.variance).toBe(0);
    // The other reference is the same image or the other one, which completes the posterior: half of the variance, no bias.
    const two = found['in the batch']!;
    expect(two.variance / one.variance).toBeCloseTo(0.5, 1);
    for (const { bias } of [one, two]) expect(Math.abs(bias)).toBeLessThan(0.01);
    // Alone, it says nothing of x_t: ±1 with mean 0.
    const alone = found['without the own sample']!;
    expect(alone.variance).toBeCloseTo(1, 1);
    expect(alone.bias).toBeCloseTo(zero.bias, 1);
    // A class is one image here, and the set has all.
    expect(found['the class']!.variance).toBeCloseTo(one.variance, 5);
    expect(found['the whole set']!.variance).toBeLessThan(1e-10);
  });

  it('leave no tensors', () => {
    const before = tf.memory().numTensors;
    errors(2);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('an experiment', () => {
  const tiny = { images: 200, steps: 2, evaluateEvery: 2, seeds: 1, samples: 100 };

  async function runsTiny<Settings extends CommonSettings, Result>(
    study: Study<Settings, Result>,
    changes: Partial<Settings>,
    runs: [number, number] = [0, 1],
  ) {
    const part = { ...study, plan: (settings: Settings) => study.plan(settings).slice(...runs) };
    const table = await runStudy(part, { ...study.settings.quick, ...changes }, options(study.name));
    expect(table).toMatch(/^\| .* \|\n\| --- \|/);
    expect(table).not.toMatch(/NaN|undefined|Infinity/);
    expect(readFileSync(join(folder, study.name, `study-${study.name}.svg`), 'utf8')).toContain('<svg');
    expect(existsSync(join(folder, study.name, `${study.name}.json`))).toBe(true);
  }
  const options = (name: string) => ({
    subject: digits,
    folders: { results: join(folder, name), images: join(folder, name) },
    backend: tf.getBackend(),
    onProgress: () => {},
  });

  it('on the posterior leaves a table and a plot', () =>
    runsTiny(posterior, { images: 200, rows: 4, draws: 3, references: [8] }, [0, 2]));
  it('on schedules does', () => runsTiny(schedules, tiny, [3, 4]));
  it('on references does', () => runsTiny(references, tiny, [1, 3]));
  it('on estimators does', () => runsTiny(estimators, tiny, [1, 2]));
  it('on phases does', () => runsTiny(phases, { ...tiny, etas: [0.8, 1] }));
  it('on guidance does', () => runsTiny(guidance, { ...tiny, strengths: [1, 1.2] }));

  it('keeps the runs that it has, and refuses those of other settings', async () => {
    const made: string[] = [];
    const study: Study<{ images: number; seeds: number }, number> = {
      ...posterior,
      name: 'kept',
      settings: { full: { images: 2, seeds: 1 }, quick: { images: 2, seeds: 1 } },
      plan: ({ seeds }) =>
        Array.from({ length: seeds }, (_, seed) => ({
          name: `seed ${seed}`,
          make: async () => {
            made.push(`seed ${seed}`);
            return seed;
          },
        })),
      table: (results) => results.join(),
      plot: () => ({ data: { values: [] }, mark: 'point' }),
    };
    expect(await runStudy(study, { images: 2, seeds: 1 }, options('kept'))).toBe('0');
    expect(await runStudy(study, { images: 2, seeds: 3 }, options('kept'))).toBe('0,1,2');
    expect(made).toEqual(['seed 0', 'seed 1', 'seed 2']);
    await expect(runStudy(study, { images: 1, seeds: 1 }, options('kept'))).rejects.toThrow('other settings');
  });

  it('explains itself on the command line', () => {
    const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
    const root = fileURLToPath(new URL('../../..', import.meta.url));
    const run = (...args: string[]) =>
      spawnSync(process.execPath, ['--import', 'tsx', main, ...args], { cwd: root, encoding: 'utf8' });
    const help = run('guidance', '--help');
    expect(help.status).toBe(0);
    for (const option of ['--quick', '--out', '--seeds']) expect(help.stdout).toContain(option);
    const unknown = run('nothing');
    expect(unknown.status).toBe(1);
    expect(unknown.stderr).toContain("unknown command 'nothing'");
  });
});
