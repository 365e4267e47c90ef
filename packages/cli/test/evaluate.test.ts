import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeNpz } from '@cm/checkpoints';
import { featureStatistics, writeStatistics } from '@cm/fid';
import { u, unit } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { run } from '../src';
import { writeModel } from './snapshot';

let hasWeights = true;
// Small projections of the pixels stand for Inception-v3.
vi.mock('@cm/fid', async (original) => {
  const sizes = { 64: 8, 192: 8, spatial: 12, 768: 8, 2048: 10, logits_unbiased: 10, logits: 10 } as const;
  const inceptionExtractor: typeof import('@cm/fid').inceptionExtractor =
    (_, ...names) =>
    (images) =>
      tf.tidy(() => {
        const pixels = tf.reshape(images, [images.shape[0], 192]);
        const weights = names.map((name) => tf.tensor2d(u(name, 192 * sizes[name]), [192, sizes[name]]));
        return tf.matMul(pixels, tf.concat(weights, 1));
      });
  return { ...(await original<typeof import('@cm/fid')>()), inceptionExtractor, inceptionFeatureSize: sizes };
});
vi.mock('@cm/fid/node', async (original) => {
  const actual = await original<typeof import('@cm/fid/node')>();
  return {
    ...actual,
    loadInception: async (source: import('@cm/fid/node').WeightsSource) =>
      hasWeights ? { tensors: {} } : actual.loadInception(source),
  };
});

let folder: string;
const environment = { ...process.env };
const at = (name: string) => join(folder, name);
const snapshots = () => at('run/snapshots');
const newest = () => join(snapshots(), '000000000016-0.9999.safetensors');

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cli-evaluate-'));
  process.env.CM_CACHE = folder;
  process.env.TORCH_HOME = folder;
  const metadata = { average: '0.9999', images: '16' };
  const recipe = 'sct-cifar10-cond';
  await writeModel(newest(), { recipe, metadata });
  await writeModel(join(snapshots(), 'halfway-0.9999.safetensors'), { recipe, metadata, variant: 'half' });
  await writeModel(at('diffusion.safetensors'));
  const data = Uint8Array.from(u('real', 20 * 192), (value) => (value + 1) * 127.5);
  writeFileSync(at('real.npz'), writeNpz({ arr_0: { dtype: 'U8', shape: [20, 8, 8, 3], data } }));
  const statistics = featureStatistics({ shape: [30, 10], values: unit('statistics', [30, 10]) });
  writeFileSync(at('statistics.npz'), writeStatistics(statistics));
});
afterAll(() => {
  process.env = environment;
  rmSync(folder, { recursive: true });
});

async function cm(...argv: string[]) {
  let [out, err] = ['', ''];
  const status = await run([...argv, '--backend', 'wasm'], {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  return { status, out, err };
}
const evaluate = (...argv: string[]) => cm('evaluate', ...argv);

describe('cm evaluate', () => {
  it('measures what cm fid measures of the images that cm sample writes, whatever the batch', async () => {
    const metrics = ['--metrics', 'fid,sfid,kid,is,pr,dc'];
    const argv = [at('run'), '--reference', at('real.npz'), '--images', '15', ...metrics];
    const { status, out } = await evaluate(...argv, '--batch', '4', '--json');
    expect(status).toBe(0);
    const { samplings } = JSON.parse(out);
    expect(samplings).toHaveLength(2);
    for (const { steps, metrics: found } of samplings) {
      await cm('sample', at('run'), at(`images-${steps}`), '--images', '15', '--steps', String(steps));
      const files = await cm('fid', at('real.npz'), at(`images-${steps}`), ...metrics, '--json');
      expect(found).toEqual(JSON.parse(files.out).metrics);
    }
    expect(samplings[0].metrics.fid).not.toBe(samplings[1].metrics.fid);
  });

  it('prints a table, and writes a file that says all that the numbers depend on', async () => {
    const argv = [at('run'), '--reference', at('statistics.npz'), '--images', '12', '--guidance', '1.2', '--seed', '3'];
    const { numTensors } = tf.memory();
    const { status, out, err } = await evaluate(...argv);
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(status).toBe(0);
    expect(out).toMatch(/^ +1 step +2 steps\nfid +[\d.]+ +[\d.]+\none step from 80: 1 evaluations an image\n/);
    expect(out).toMatch(/^guided by .*halfway-0\.9999\.safetensors, strength 1\.2$/m);
    const file = join(snapshots(), '000000000016-0.9999.evaluation.json');
    expect(err).toBe(`cm: written to ${file}\n`);
    const sha256 = createHash('sha256').update(readFileSync(newest())).digest('hex');
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({
      command: `cm evaluate ${argv.join(' ')} --backend wasm`,
      node: process.version,
      model: { file: newest(), sha256, images: 16 },
      guidance: { strength: 1.2, guide: { file: join(snapshots(), 'halfway-0.9999.safetensors') } },
      reference: { path: at('statistics.npz'), images: 30 },
      images: 12,
      seed: 3,
      class: null,
      samplings: [
        { steps: 1, evaluations: 1, metrics: { fid: expect.any(Number) } },
        { steps: 2, evaluations: 2, sampler: 'two steps from 80, middle 0.821' },
      ],
      settings: { network: 'inception-2015-12-05', resize: 'legacy', backend: 'wasm', precision: 'float32' },
      recipe: { name: 'sct-cifar10-cond', middle: 0.821, batchSize: 128 },
    });
  });

  it('compares numbers of steps, of a diffusion model Heun’s', async () => {
    const argv = [at('diffusion.safetensors'), '--reference', at('statistics.npz'), '--images', '12', '--steps', '2,4'];
    const { out } = await evaluate(...argv, '--out', at('out.json'), '--json');
    const evaluation = JSON.parse(out);
    expect(JSON.parse(readFileSync(at('out.json'), 'utf8'))).toEqual(evaluation);
    expect(evaluation).toMatchObject({
      samplings: [
        { steps: 2, evaluations: 3 },
        { steps: 4, evaluations: 7, sampler: 'Heun, 4 steps from 80' },
      ],
      recipe: null,
    });
  });

  it('says which weights to fetch before it generates anything', async () => {
    hasWeights = false;
    try {
      const { status, err } = await evaluate(at('run'), '--reference', at('statistics.npz'));
      expect(status).toBe(1);
      expect(err).toMatch(/^cm: no Inception-v3 weights: download pt_inception-2015-12-05-6726825d\.pth .*\n$/);
    } finally {
      hasWeights = true;
    }
  });

  it.each([
    ['no reference', () => [at('run')], /--reference is missing, expected statistics or images/],
    [
      'a metric that statistics do not have',
      () => [at('run'), '--reference', at('statistics.npz'), '--metrics', 'kid'],
      /statistics alone, which kid cannot be told from/,
    ],
    [
      'a metric that is none',
      () => [at('run'), '--reference', at('real.npz'), '--metrics', 'fiid'],
      /--metrics has "fiid", expected of/,
    ],
    [
      'steps that are none',
      () => [at('run'), '--reference', at('real.npz'), '--steps', '1,x'],
      /--steps is x, expected/,
    ],
    ['a flag that is none', () => [at('run'), '--metric', 'fid'], /unknown option '--metric'[\s\S]*--metrics/],
  ])('%s: says so', async (_, argv, message) => {
    const { status, err } = await evaluate(...argv());
    expect(status).toBe(1);
    expect(err).toMatch(message);
  });
});
