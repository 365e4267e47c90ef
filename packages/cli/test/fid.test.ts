import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeNpz } from '@cm/checkpoints';
import { featureStatistics, frechetDistance, prepareDinoV2, writeStatistics } from '@cm/fid';
import { u, unit } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { dinoParameters } from '../../fid/test/dino-reference';
import { run } from '../src';

// The networks themselves are in fid-network.test.ts; here small projections of the pixels stand for Inception-v3, and a DINOv2 of one block
// for the published ones.
vi.mock('@cm/fid', async (original) => {
  const sizes = { 64: 8, 192: 8, spatial: 20, 768: 8, 2048: 24, logits_unbiased: 10, logits: 10 } as const;
  const inceptionExtractor: typeof import('@cm/fid').inceptionExtractor =
    (_, ...names) =>
    (images) =>
      tf.tidy(() => {
        const pixels = tf.slice(tf.reshape(images, [images.shape[0], -1]), [0, 0], [-1, 192]) as tf.Tensor2D;
        const weights = names.map((name) => tf.tensor2d(u(name, 192 * sizes[name]), [192, sizes[name]]));
        return tf.matMul(pixels, tf.concat(weights, 1));
      });
  return { ...(await original<typeof import('@cm/fid')>()), inceptionExtractor, inceptionFeatureSize: sizes };
});
vi.mock('@cm/fid/node', async (original) => ({
  ...(await original<typeof import('@cm/fid/node')>()),
  loadInception: async () => ({ tensors: {} }),
  loadDinoV2: async () => {
    const parameters = dinoParameters({ width: 64, depth: 1 });
    const weights = prepareDinoV2(parameters);
    tf.dispose(parameters);
    return weights;
  },
}));

let folder: string;
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

const pixels = (name: string, count: number) => {
  const data = Uint8Array.from(u(name, count * 192), (value) => (value + 1) * 127.5);
  return { arr_0: { dtype: 'U8' as const, shape: [count, 8, 8, 3], data } };
};
const images = (name: string, count: number) => writeNpz(pixels(name, count));

const statistics = (name: string, size: number) =>
  featureStatistics({ shape: [20, size], values: unit(name, [20, size]) });

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cli-fid-'));
  writeFileSync(at('real.npz'), images('real', 8));
  writeFileSync(at('fake.npz'), images('fake', 7));
  for (const name of ['a', 'b']) writeFileSync(at(`${name}.npz`), writeStatistics(statistics(name, 5)));
  writeFileSync(at('six.npz'), writeStatistics(statistics('six', 6)));
  writeFileSync(at('no.pth'), 'no weights');
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('cm fid', () => {
  it('gives every metric of two sets of images, from the cache the second time', async () => {
    const argv = ['fid', at('real.npz'), at('fake.npz'), '--json', '--cache', at('cache')];
    const all = [...argv, '--metrics', 'fid,sfid,kid,is,pr,dc'];
    const first = await cm(...all);
    expect([first.status, first.err]).toEqual([0, '']);
    const { metrics, real, fake, settings } = JSON.parse(first.out);
    expect([real.images, fake.images, settings.resize]).toEqual([8, 7, 'legacy']);
    for (const name of ['fid', 'sfid', 'kid', 'inceptionScore', 'precision', 'recall', 'density', 'coverage']) {
      expect(Number.isFinite(metrics[name]), name).toBe(true);
    }
    expect(metrics.fid).toBeGreaterThan(0);
    expect(readdirSync(at('cache'))).toHaveLength(2);
    expect(await cm(...all)).toEqual(first);
    expect(readdirSync(at('cache'))).toHaveLength(2);
  });

  it('does not take features of another network, weights, resizing or backend from the cache', async () => {
    const argv = ['stats', at('real.npz'), at('out.npz'), '--cache', at('cache-2')];
    const variants = [
      [],
      ['--resize', 'clean'],
      ['--sha256', '0'.repeat(64)],
      ['--spatial'],
      ['--backend', 'wasm', '--sha256', '1'.repeat(64)],
      ['--features', 'dinov2-b'],
      ['--features', 'dinov2-l'],
      ['--features', 'dinov2-b', '--resize', 'clean'],
    ];
    for (const [i, more] of variants.entries()) {
      expect((await cm(...argv, ...more)).status, more.join(' ')).toBe(0);
      expect(readdirSync(at('cache-2')), more.join(' ')).toHaveLength(i + 1);
    }
  });

  it('of statistics is that of the images, and says what it measured', async () => {
    expect(await cm('stats', at('real.npz'), at('stats.npz'), '--spatial')).toEqual({
      status: 0,
      out: `${at('stats.npz')}: 8 images\n`,
      err: '',
    });
    const one = await cm('fid', at('stats.npz'), at('fake.npz'), '--metrics', 'fid,sfid');
    const two = await cm('fid', at('real.npz'), at('fake.npz'), '--metrics', 'fid,sfid', '--batch', '3');
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
    // The stand-in sees the pixels themselves: they are of another number once resized.
    const argv = ['fid', at('real.npz'), at('fake.npz'), '--json'];
    const legacy = JSON.parse((await cm(...argv)).out).metrics.fid;
    const { metrics, settings } = JSON.parse((await cm(...argv, '--resize', 'clean')).out);
    expect(settings.resize).toBe('clean');
    expect(Math.abs(metrics.fid / legacy - 1)).toBeGreaterThan(1e-3);
  });

  it('of DINOv2’s features is called so, and has the other metrics of them', async () => {
    const argv = [
      'fid',
      at('real.npz'),
      at('fake.npz'),
      '--features',
      'dinov2-b',
      '--metrics',
      'fid,kid,pr,dc',
      '--json',
    ];
    const { metrics, settings } = JSON.parse((await cm(...argv)).out);
    expect(settings.network).toBe('dinov2-vitb14');
    expect(Object.keys(metrics)).toEqual([
      'fd_dinov2',
      'kid',
      'kidStandardDeviation',
      'kidSubsetSize',
      'precision',
      'recall',
      'density',
      'coverage',
    ]);
    expect(metrics.fd_dinov2).toBeGreaterThan(0);
  });

  it('of a file that has both takes what the metric needs', async () => {
    const { mean, covariance } = statistics('a', 5);
    const array = (values: Float64Array, shape: number[]) => ({
      dtype: 'F64' as const,
      shape,
      data: new Uint8Array(values.buffer),
    });
    const { arr_0 } = pixels('real', 8);
    writeFileSync(at('both.npz'), writeNpz({ arr_0, mu: array(mean, [5]), sigma: array(covariance, [5, 5]) }));
    const { metrics } = JSON.parse((await cm('fid', at('both.npz'), at('b.npz'), '--json')).out);
    expect(metrics.fid).toBe(frechetDistance(statistics('a', 5), statistics('b', 5)));
    const { real } = JSON.parse((await cm('fid', at('both.npz'), at('fake.npz'), '--metrics', 'kid', '--json')).out);
    expect(real.images).toBe(8);
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
    [
      'a metric that a network lacks',
      () => ['fid', at('real.npz'), at('fake.npz'), '--features', 'dinov2-l', '--metrics', 'fid,is'],
      '--metrics has is, which dinov2-vitl14 has no features for',
    ],
    [
      'another network',
      () => ['fid', at('real.npz'), at('fake.npz'), '--features', 'vgg'],
      '--features is vgg, expected of inception, dinov2-b, dinov2-l',
    ],
    [
      'another resizing',
      () => ['fid', at('real.npz'), at('fake.npz'), '--resize', 'best'],
      '--resize is best, expected legacy or clean',
    ],
    [
      'another backend',
      () => ['fid', at('real.npz'), at('fake.npz'), '--backend', 'x'],
      '--backend is x, expected one of torch, tensorflow, wasm',
    ],
    ['no images', () => ['stats', at('no.pth'), at('out.npz')], 'no.pth is no folder, zip or .npz of images'],
    ['another output', () => ['stats', at('real.npz'), at('out.txt')], 'ends with ".txt", expected .npz'],
  ])('%s: one line of error', async (_, argv, message) => {
    const { status, err } = await cm(...argv());
    expect(status).toBe(1);
    expect(err).toContain(message);
    expect(err.trim().split('\n')).toHaveLength(1);
  });
});
