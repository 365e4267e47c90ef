import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { recipes } from '@cm/sct';
import { describe, expect, it } from 'vitest';
import { run } from '../src';
import { configOf, readConfig } from '../src/train-config';
import { resolveRun } from '../src/train-recipe';

const nothing = { recipe: {}, run: {} };
const resolved = (changes: unknown, name = 'sct-cifar10') => resolveRun(name, configOf('config', changes));

async function dryRun(...argv: string[]) {
  let [out, err] = ['', ''];
  const status = await run(['train', ...argv, '--dry-run'], {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  return { status, out, err };
}

describe('a configuration', () => {
  it.each([
    [{ batchsize: 4 }, 'config: unknown key batchsize, did you mean batchSize?'],
    [{ schedule: { Q: 2 } }, 'config: unknown key schedule.Q, did you mean schedule.q?'],
    [{ evaluatEvery: 4 }, 'config: unknown key evaluatEvery, did you mean evaluateEvery?'],
    [{ batchSize: 1.5 }, 'config: batchSize is 1.5, expected a whole number from 1'],
    [{ noise: 3 }, 'config: noise is 3, expected an object'],
    [{ estimator: { references: 'every' } }, 'expected one of batch, batch-of-class, all, all-of-class'],
    [{ network: { family: 4 } }, 'expected an object with a family'],
    [[], 'config: is [], expected an object'],
  ])('is refused where it says %j', (changes, message) => {
    expect(() => configOf('config', changes)).toThrow(message);
  });

  it('is read from JSON and YAML alike', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'config-'));
    try {
      const [json, yaml] = [join(folder, 'a.json'), join(folder, 'a.yaml')];
      writeFileSync(json, '{"batchSize": 64, "noise": {"mean": 0}, "seed": 7}');
      writeFileSync(yaml, 'batchSize: 64\nnoise: { mean: 0 }\nseed: 7\n');
      expect(await readConfig(yaml)).toEqual(await readConfig(json));
      writeFileSync(json, '{');
      await expect(readConfig(json)).rejects.toThrow(`${json}: is no JSON`);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('changes what it says of a setting, and replaces a setting of another kind', () => {
    const { recipe, changes } = resolved({ schedule: { d: 100 }, metric: { c: 0.03 }, ema: { sigmaRel: [0.1] } });
    expect(recipe.schedule).toEqual({ ...recipes['sct-cifar10'].schedule, d: 100 });
    expect(recipe.metric).toEqual({ name: 'pseudo-huber', c: 0.03 });
    expect(recipe.ema).toEqual({ sigmaRel: [0.1] });
    expect(changes).toContain('schedule.d: 6250, here 100');
    expect(resolved({ schedule: { fraction: 0.01 } }).recipe.schedule).toEqual({ fraction: 0.01 });
    expect(resolved({ metric: { name: 'l1' } }).recipe.metric).toEqual({ name: 'l1' });
    expect(resolved({ optimizer: { name: 'adam' } }).recipe.optimizer).toMatchObject({ name: 'adam', beta1: 0.9 });
  });

  it.each([
    [
      'ect-cifar10',
      { estimator: { references: 'all' } },
      'estimator.references is given, expected nothing but a name for estimator of the kind one-sample',
    ],
    [
      'ect-cifar10-fixed',
      { schedule: { d: 10 } },
      'schedule.d is given, expected fraction for schedule of the kind fraction',
    ],
    ['sct-cifar10', { noise: { rho: 7, max: 80 } }, 'noise.max is given, expected rho for noise of the kind rho'],
    ['ect-cifar10', { estimator: { name: 'stable-target' } }, 'estimator.references is missing'],
    ['ect-cifar10-fixed', { schedule: { q: 2 } }, 'schedule.d is missing, expected for schedule of the kind q'],
  ])('cannot change %s by %j', (name, changes, message) => {
    expect(() => resolved(changes, name)).toThrow(message);
  });

  it.each([
    ['cifar10', 'sct-cifar10'],
    ['imagenet64', 'sct-imagenet64-s'],
  ])('of the example %s fits its recipes', async (example, name) => {
    const configs = fileURLToPath(new URL(`../../../examples/${example}/config/`, import.meta.url));
    for (const file of readdirSync(configs)) resolveRun(name, await readConfig(join(configs, file)));
  });

  it('gives way to flags', () => {
    const { recipe, run } = resolveRun('sct-cifar10', configOf('config', { batchSize: 64, seed: 7, microBatch: 8 }), {
      batch: 32,
      images: 1000,
      seed: 1,
    });
    expect([recipe.batchSize, recipe.steps, run.seed, run.microBatch]).toEqual([32, 32, 1, 8]);
  });

  it('leaves a recipe as it was published when it says nothing', () => {
    for (const name of Object.keys(recipes)) {
      const { recipe, changes } = resolveRun(name, nothing);
      expect(recipe).toEqual(recipes[name as keyof typeof recipes]);
      expect(changes).toEqual([]);
    }
  });
});

describe('cm train --dry-run', () => {
  it('prints the row that a recipe is to reproduce, every number, and what it costs', async () => {
    const { status, out } = await dryRun('sct-cifar10');
    expect(status).toBe(0);
    expect(out).toMatch(/reproduces +Table 2, SCT: FID 3\.11 \(2\.98 with guidance\) in 1 step/);
    expect(out).toMatch(/schedule +Eq\. 15, q 1\.18921, d 6,250/);
    expect(out).toMatch(/network +EDM, 32 × 32 × 3, 0 classes, 55,733,891 parameters, 42\.4 GFLOP/);
    expect(out).toMatch(/all steps +4\.2 EFLOP: 11\.\d h at 100 TFLOP\/s/);
    expect(out).not.toMatch(/changed/);
  });

  it('knows the network of every recipe', async () => {
    for (const name of Object.keys(recipes)) {
      expect(await dryRun(name)).toMatchObject({ status: 0, err: '' });
    }
  });

  it('says what differs from the publication', async () => {
    const { out } = await dryRun('sct-imagenet64-s', '--batch', '64');
    expect(out).toMatch(/changed +batchSize: 128, here 64\n +so the published numbers are not to be expected/);
  });

  it('says that a checkpoint is of another network than the recipe’s', async () => {
    const snapshot = fileURLToPath(new URL('../../checkpoints/test/fixtures/edm2-snapshot.pkl', import.meta.url));
    const { out } = await dryRun('sct-imagenet64-s', '--transfer', snapshot);
    expect(out).toMatch(
      /changed +network\.resolution: 64, here 8; network\.classes: 1000, here 4; network\.parameters: 28/,
    );
  });

  it('names the nearest recipe, and options that do not fit', async () => {
    expect((await dryRun('sct-cifra10')).err).toMatch(/no recipe sct-cifra10, did you mean sct-cifar10\?/);
    expect((await dryRun('sct-cifar10', '--batch', '0')).err).toMatch(/--batch is 0, expected a whole number from 1/);
    expect((await dryRun('sct-cifar10', '--transfer', 'a', '--init', 'random')).err).toMatch(/expected one of them/);
  });
});

describe('cm train', () => {
  const train = async (...argv: string[]) => {
    let err = '';
    const status = await run(['train', ...argv], {
      out: () => {},
      err: (text) => {
        err += text;
      },
    });
    return { status, err };
  };

  it('says what is missing', async () => {
    expect((await train('sct-cifar10')).err).toMatch(/--data is missing/);
    expect((await train('sct-cifar10', '--data', 'a', '--out', 'b')).err).toMatch(
      /sct-cifar10 starts from edm-cifar10-32x32-uncond-vp: --transfer says where it is/,
    );
  });
});
