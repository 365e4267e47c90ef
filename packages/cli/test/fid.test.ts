import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromTensors, writeNpz, writeTorchStateDict } from '@cm/checkpoints';
import { featureStatistics, frechetDistance, writeStatistics } from '@cm/fid';
import { u, unit } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formulaParameters } from '../../fid/test/inception-reference';
import { run } from '../src';
import { useBackend } from '../src/backend';

let folder: string;
let weights: string[];
const at = (name: string) => join(folder, name);

async function cm(...argv: string[]) {
  let [out, err] = ['', ''];
  const status = await run(argv, {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  return { status, out, err };
}

const images = (name: string, count: number) => {
  const data = Uint8Array.from(u(name, count * 192), (value) => (value + 1) * 127.5);
  return writeNpz({ arr_0: { dtype: 'U8', shape: [count, 8, 8, 3], data } });
};

const statistics = (name: string, size: number) =>
  featureStatistics({ shape: [20, size], values: unit(name, [20, size]) });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cli-fid-'));
  await useBackend();
  const parameters = formulaParameters();
  const bytes = writeTorchStateDict(fromTensors(parameters));
  tf.dispose(parameters);
  writeFileSync(at('weights.pth'), bytes);
  weights = ['--weights', at('weights.pth'), '--sha256', createHash('sha256').update(bytes).digest('hex')];
  writeFileSync(at('real.npz'), images('real', 8));
  writeFileSync(at('fake.npz'), images('fake', 7));
  for (const name of ['a', 'b']) writeFileSync(at(`${name}.npz`), writeStatistics(statistics(name, 5)));
  writeFileSync(at('six.npz'), writeStatistics(statistics('six', 6)));
});
afterAll(() => rmSync(folder, { recursive: true }));

// The network runs several times at 299 × 299.
describe('cm fid', { timeout: 200_000 }, () => {
  it('gives every metric of two sets of images, from the cache the second time', async () => {
    const argv = [
      'fid',
      at('real.npz'),
      at('fake.npz'),
      '--metrics',
      'fid,sfid,kid,is,pr,dc',
      '--json',
      '--cache',
      at('cache'),
    ];
    const first = await cm(...argv, ...weights);
    expect([first.status, first.err]).toEqual([0, '']);
    const { metrics, real, fake, settings } = JSON.parse(first.out);
    expect([real.images, fake.images, settings.resize]).toEqual([8, 7, 'legacy']);
    for (const name of ['fid', 'sfid', 'kid', 'inceptionScore', 'precision', 'recall', 'density', 'coverage']) {
      expect(Number.isFinite(metrics[name]), name).toBe(true);
    }
    expect(metrics.fid).toBeGreaterThan(0);
    expect(readdirSync(at('cache'))).toHaveLength(2);
    expect(await cm(...argv, ...weights)).toEqual(first);
  });

  it('of statistics is that of the images, and says what it measured', async () => {
    expect(await cm('stats', at('real.npz'), at('stats.npz'), '--spatial', ...weights)).toEqual({
      status: 0,
      out: `${at('stats.npz')}: 8 images\n`,
      err: '',
    });
    const one = await cm('fid', at('stats.npz'), at('fake.npz'), '--metrics', 'fid,sfid', ...weights);
    const two = await cm('fid', at('real.npz'), at('fake.npz'), '--metrics', 'fid,sfid', '--batch', '3', ...weights);
    const numbers = (text: string) => [...text.matchAll(/fid +(\S+)$/gm)].map(([, value]) => Number(value));
    expect(numbers(one.out)).toHaveLength(2);
    for (const [i, value] of numbers(one.out).entries())
      expect(Math.abs(value / numbers(two.out)[i]! - 1)).toBeLessThan(1e-5);
    expect(one.out).toMatch(/^8 real, 7 generated images; inception-2015-12-05, legacy, /m);
  });

  it('of two statistics files needs no network', async () => {
    const { out } = await cm('fid', at('a.npz'), at('b.npz'), '--json');
    expect(JSON.parse(out).metrics.fid).toBe(frechetDistance(statistics('a', 5), statistics('b', 5)));
  });

  it('with clean resizing is another number', async () => {
    const argv = ['fid', at('real.npz'), at('fake.npz'), '--json', ...weights];
    const legacy = JSON.parse((await cm(...argv)).out).metrics.fid;
    const clean = JSON.parse((await cm(...argv, '--resize', 'clean')).out).metrics.fid;
    expect(Math.abs(clean / legacy - 1)).toBeGreaterThan(1e-3);
  });

  it.each([
    [
      'a metric that is none',
      () => ['fid', at('real.npz'), at('fake.npz'), '--metrics', 'fod'],
      '--metrics has "fod", expected of fid, sfid',
    ],
    [
      'KID of statistics',
      () => ['fid', at('a.npz'), at('fake.npz'), '--metrics', 'kid'],
      'a.npz has statistics alone, which kid cannot be told from',
    ],
    [
      'statistics that do not match',
      () => ['fid', at('a.npz'), at('six.npz')],
      'the means have 5 and 6 features, expected as many',
    ],
    ['other weights', () => ['fid', at('real.npz'), at('fake.npz'), '--weights', at('a.npz')], 'has SHA-256'],
    [
      'another resizing',
      () => ['fid', at('real.npz'), at('fake.npz'), '--resize', 'best'],
      '--resize is best, expected legacy or clean',
    ],
    [
      'another backend',
      () => ['fid', at('real.npz'), at('fake.npz'), '--backend', 'x'],
      '--backend is x, expected torch or wasm',
    ],
    [
      'no images',
      () => ['stats', at('weights.pth'), at('out.npz'), ...weights],
      'has no images, expected PNG or JPEG files',
    ],
    ['another output', () => ['stats', at('real.npz'), at('out.txt')], 'ends with ".txt", expected .npz'],
  ])('%s: one line of error', async (_, argv, message) => {
    const { status, err } = await cm(...argv());
    expect(status).toBe(1);
    expect(err).toContain(message);
    expect(err.trim().split('\n')).toHaveLength(1);
  });
});
