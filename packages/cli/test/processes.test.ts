import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeNpz } from '@cm/checkpoints';
import { key } from '@cm/random';
import { u, useWasm } from '@cm/testing';
import type { Communicator, TrainingState } from '@cm/trainer';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { run } from '../src';
import type { MetricName, Network } from '../src/fid-network';
import { readSet, type SetOfImages } from '../src/fid-set';
import { networkOf } from '../src/network';
import { shareOf, takeOwnGpu } from '../src/processes';
import { writeImages } from '../src/sample-files';
import { configOf } from '../src/train-config';
import type { TrainingData } from '../src/train-data';
import { evaluator, referenceStatistics } from '../src/train-evaluation';
import { startOf } from '../src/train-network';
import { resolveRun } from '../src/train-recipe';

/** Communicators of processes that are all this one. */
function processes(size: number): Communicator[] {
  const rounds: { given: Uint8Array[]; all: PromiseWithResolvers<Uint8Array[]> }[] = [];
  return Array.from({ length: size }, (_, rank) => {
    let at = 0;
    return {
      rank,
      size,
      allReduce: () => Promise.reject(new Error('not in use here')),
      broadcast: () => Promise.reject(new Error('not in use here')),
      allGatherBytes(bytes) {
        rounds[at] ??= { given: [], all: withResolvers() };
        const round = rounds[at++]!;
        round.given[rank] = bytes.slice();
        if (Object.keys(round.given).length === size) round.all.resolve(round.given);
        return round.all.promise;
      },
    };
  });
}

interface PromiseWithResolvers<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
}

function withResolvers<T>(): PromiseWithResolvers<T> {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

let folder: string;
const at = (name: string) => join(folder, name);
beforeAll(async () => {
  await useWasm();
  folder = mkdtempSync(join(tmpdir(), 'cli-processes-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('what several processes share', () => {
  it.each([
    [10, 3],
    [50_000, 7],
    [2, 4],
    [0, 2],
  ])('is everything, once: %i items of %i processes', (count, size) => {
    const shares = Array.from({ length: size }, (_, rank) => shareOf({ rank, size }, count));
    expect(shares[0]![0]).toBe(0);
    expect(shares.at(-1)![1]).toBe(count);
    for (let rank = 1; rank < size; rank++) expect(shares[rank]![0]).toBe(shares[rank - 1]![1]);
    const sizes = shares.map(([from, to]) => to - from);
    expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
    expect(shareOf(undefined, count)).toEqual([0, count]);
  });
});

describe('what several processes share in batches', () => {
  it.each([
    [50_000, 8, 64],
    [21, 2, 32],
    [100, 3, 7],
  ])('is whole ones: %i items of %i processes, %i at once', (count, size, batch) => {
    const shares = Array.from({ length: size }, (_, rank) => shareOf({ rank, size }, count, batch));
    expect(shares[0]![0]).toBe(0);
    expect(shares.at(-1)![1]).toBe(count);
    for (let rank = 1; rank < size; rank++) expect(shares[rank]![0]).toBe(shares[rank - 1]![1]);
    for (const [from, to] of shares) {
      expect(from % batch === 0 || from === count).toBe(true);
      expect(Math.ceil((to - from) / batch)).toBeLessThanOrEqual(Math.ceil(count / batch / size));
    }
  });
});

describe('features of images that several processes share', () => {
  const network: Network = {
    name: 'a projection',
    distance: 'fid',
    sha256: '',
    featureOf: () => 'all',
    sizeOf: () => 5,
    extractor: async () => (images) =>
      tf.tidy(() => tf.matMul(tf.reshape(images, [images.shape[0], -1]), tf.tensor2d(u('weights', 48 * 5), [48, 5]))),
    dispose: () => {},
  };
  const metrics: MetricName[] = ['fid', 'kid'];
  const options = { network, backend: 'wasm', resize: 'legacy' as const, batch: 4 };
  const write = (name: string, count: number) => {
    const data = Uint8Array.from(u(name, count * 48), (value) => (value + 1) * 127.5);
    writeFileSync(at(name), writeNpz({ arr_0: { dtype: 'U8', shape: [count, 4, 4, 3], data } }));
  };

  it.each([
    ['23 images of 2', 23, 2],
    ['23 images of 3', 23, 3],
    // One of them has none.
    ['3 images of 4', 3, 4],
  ])('have the statistics of one, to 1e-9, the same in each: %s', async (name, count, size) => {
    write(`${name}.npz`, count);
    const alone = await readSet(at(`${name}.npz`), metrics, options);
    const cache = at(`cache of ${name}`);
    const together = () =>
      Promise.all(
        processes(size).map((communicator) => readSet(at(`${name}.npz`), metrics, { ...options, cache, communicator })),
      );
    const check = (sets: SetOfImages[]) => {
      for (const { images, fid, features } of sets) {
        expect(images).toBe(count);
        fid!.mean.forEach((value, i) => {
          expect(Math.abs(value - alone.fid!.mean[i]!)).toBeLessThan(1e-9);
        });
        const scale = Math.max(...alone.fid!.covariance);
        fid!.covariance.forEach((value, i) => {
          expect(Math.abs(value - alone.fid!.covariance[i]!)).toBeLessThan(1e-9 * scale);
        });
        expect(fid).toEqual(sets[0]!.fid);
        expect(features).toEqual(alone.features);
      }
    };
    check(await together());
    check(await together());
  });
});

describe('evaluation in training by several processes', () => {
  const tiny = fileURLToPath(new URL('../../../examples/cifar10/config/tiny.json', import.meta.url));
  const colours = {
    name: 'mean colours',
    extract: (images: tf.Tensor4D) => tf.mean(images, [1, 2]) as tf.Tensor2D,
    dispose: () => {},
  };

  it('has the pictures and the distance of one, to 1e-9, the same in each', async () => {
    const file = configOf('tiny', { ...JSON.parse(readFileSync(tiny, 'utf8')), evaluationImages: 7 });
    const { recipe, run } = resolveRun('sct-cifar10', file);
    const { config } = await startOf(recipe, { random: true, network: file.network! });
    const network = networkOf(config, run);
    const params = network.init(key(5));
    const images = { images: Uint8Array.from(u('training', 120 * 48), (v) => (v + 1) * 127.5), shape: [120, 4, 4, 3] };
    const state = { images: 16, averages: { a: params } } as unknown as TrainingState;
    const evaluated = async (name: string, communicator?: Communicator) => {
      const own = { folder: at(name), ...(communicator && { communicator }) };
      const data = { images } as unknown as TrainingData;
      const reference = await referenceStatistics(colours.extract, data, { ...own, onProgress: () => {} });
      const distance = { extract: colours.extract, reference };
      return evaluator({ network, recipe, run, average: 'a', distance, ...own })(state);
    };
    mkdirSync(at('alone'));
    const alone = await evaluated('alone');
    expect(Object.keys(alone).length).toBeGreaterThan(0);
    // Of seven images, two at once, one of five processes has none.
    mkdirSync(at('of five'));
    const all = await Promise.all(processes(5).map((communicator) => evaluated('of five', communicator)));
    for (const [name, value] of Object.entries(alone)) {
      expect(value).toBeGreaterThan(0);
      expect(Math.abs(all[0]![name]! - value)).toBeLessThan(1e-9 * value);
    }
    for (const metrics of all) expect(metrics).toEqual(all[0]);
    const pictures = readdirSync(at('alone/samples'));
    expect(readdirSync(at('of five/samples'))).toEqual(pictures);
    for (const name of pictures) {
      expect(readFileSync(at(`of five/samples/${name}`))).toEqual(readFileSync(at(`alone/samples/${name}`)));
    }
    tf.dispose(params);
  });
});

describe('images that several processes write', () => {
  const source = (drawn: number[] = []) => ({
    identity: { model: 'a' },
    count: 11,
    shape: [2, 2, 1] as [number, number, number],
    *images(numbers: readonly number[]) {
      for (const number of numbers) {
        drawn.push(number);
        yield new Uint8Array(4).fill(number);
      }
    },
  });

  it('are those of one, each drawn once; those that are there are kept', async () => {
    await writeImages(at('one'), source());
    const drawn: number[] = [];
    const write = () =>
      Promise.all(processes(3).map((communicator) => writeImages(at('three'), source(drawn), { communicator })));
    await write();
    expect(drawn.sort((a, b) => a - b)).toEqual(Array.from({ length: 11 }, (_, i) => i));
    const files = readdirSync(at('one'));
    expect(readdirSync(at('three'))).toEqual(files);
    for (const file of files)
      expect(readFileSync(join(at('three'), file))).toEqual(readFileSync(join(at('one'), file)));
    rmSync(join(at('three'), '00000005.png'));
    drawn.length = 0;
    await write();
    expect(drawn).toEqual([5]);
  });

  it('are of one model: else all processes say so', async () => {
    const other = { ...source(), identity: { model: 'b' } };
    const said = await Promise.allSettled(
      processes(2).map((communicator) => writeImages(at('three'), other, { communicator })),
    );
    for (const result of said) expect(String((result as PromiseRejectedResult).reason)).toMatch(/model is "?a"? there/);
  });

  it('are not in one file', async () => {
    const [first] = processes(2);
    await expect(writeImages(at('a.zip'), source(), { communicator: first! })).rejects.toThrow(
      /a\.zip is one file, expected a folder for several processes/,
    );
  });
});

describe('a process that a launcher started', () => {
  const launched = (rank: number) => {
    const variables = { RANK: rank, LOCAL_RANK: rank, WORLD_SIZE: 4, MASTER_ADDR: 'a', MASTER_PORT: 1 };
    for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, String(value));
  };
  afterAll(() => void vi.unstubAllEnvs());

  it.each([
    [undefined, '2'],
    ['4,5,6,7', '6'],
    // Of its own.
    ['5', '5'],
    // A launcher that tells no places on a machine: its third process has the first GPU of the second machine.
    ['0,1', '0'],
  ])('has one GPU: of %s, %s', (visible, own) => {
    launched(2);
    vi.stubEnv('CUDA_VISIBLE_DEVICES', visible);
    takeOwnGpu();
    expect(process.env.CUDA_VISIBLE_DEVICES).toBe(own);
    takeOwnGpu();
    expect(process.env.CUDA_VISIBLE_DEVICES).toBe(own);
  });

  it.each([0, 1])('speaks if it is the first: process %i', async (rank) => {
    launched(rank);
    let [out, err] = ['', ''];
    const output = {
      out: (text: string) => {
        out += text;
      },
      err: (text: string) => {
        err += text;
      },
    };
    expect(await run(['--help'], output)).toBe(0);
    expect(out.length > 0).toBe(rank === 0);
    expect(await run(['inspect', at('nothing.pt')], output)).toBe(1);
    expect(err).toMatch(new RegExp(`^cm, process ${rank}: .*nothing.pt`));
    vi.stubEnv('WORLD_SIZE', undefined);
    err = '';
    expect(await run(['--help'], output)).toBe(1);
    expect(err).toMatch(/WORLD_SIZE is missing/);
  });
});
