import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fromTensors, readSafetensors, writeSafetensors } from '@cm/checkpoints';
import { openCheckpoint } from '@cm/checkpoints/node';
import { loadCifar10, writeEdmDataset } from '@cm/datasets/node';
import { readStatistics } from '@cm/fid';
import { key } from '@cm/random';
import { recipes } from '@cm/sct';
import { isInstalled } from '@cm/torch';
import * as tf from '@tensorflow/tfjs-core';
import { decode } from 'fast-png';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../src';
import { scopeOf, useBackend } from '../src/backend';
import { networkConfigOf, networkOf, parametersOf } from '../src/network';
import type { Trace } from '../src/profile';
import { train as trainInto } from '../src/train';
import { configOf } from '../src/train-config';
import { keptAs } from '../src/train-data';
import { startOf } from '../src/train-network';
import { resolveRun } from '../src/train-recipe';
import { doubled } from './doubled';

// Forty images of CIFAR-10's training set.
const cifar10 = fileURLToPath(new URL('fixtures/cifar10', import.meta.url));
const tiny = (example: string) =>
  fileURLToPath(new URL(`../../../examples/${example}/config/tiny.json`, import.meta.url));

let folder: string;
const environment = { ...process.env };
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'train-'));
  // Whatever weights this machine has: without them no distances are measured.
  process.env.CM_CACHE = folder;
  process.env.TORCH_HOME = folder;
});
afterAll(() => {
  process.env = environment;
  rmSync(folder, { recursive: true });
});

async function train(argv: readonly string[], onError: (text: string) => void = () => {}, backend = 'wasm') {
  let [out, err] = ['', ''];
  const status = await run(['train', ...argv, '--backend', backend], {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
      onError(text);
    },
  });
  return { status, out, err };
}

/** Runs until the first step is reported, as if someone pressed Ctrl-C then. */
const interrupted = (argv: readonly string[]) =>
  train(argv, (text) => {
    if (text.includes('images/s')) process.emit('SIGINT');
  });

/** Digests of all tensors of the newest state of a run. The file's checksums are of its header too, which has the seconds that it took. */
function stateOf(out: string) {
  const newest = readdirSync(join(out, 'states')).sort().at(-1)!;
  const { tensors } = readSafetensors(new Uint8Array(readFileSync(join(out, 'states', newest))));
  const { checksums: _, ...trained } = tensors;
  return Object.fromEntries(
    Object.entries(trained).map(([name, { data }]) => [name, createHash('sha1').update(data).digest('hex')]),
  );
}

const logOf = (out: string) =>
  readFileSync(join(out, 'log.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string; step: number; loss: number; stats: Record<string, number> });

describe('CIFAR-10', () => {
  const argv = ['sct-cifar10', '--data', cifar10, '--init', 'random', '--config', tiny('cifar10'), '--out'];

  it('trains on its images, stops at a signal, and goes on to the same bits', async () => {
    const [whole, parts] = [join(folder, 'cifar10'), join(folder, 'cifar10-parts')];
    const profile = join(folder, 'profile.json');
    const first = await train([...argv, whole, '--profile', profile]);
    expect(first.err).toMatch(/profile of 3 steps: .*profile\.json; \w+ \d+ %, /);
    const { traceEvents } = JSON.parse(readFileSync(profile, 'utf8')) as Trace;
    const spans = traceEvents.filter(({ cat }) => cat === 'step').map(({ name }) => name);
    expect(spans.filter((name) => name.startsWith('step '))).toEqual(['step 2', 'step 3', 'step 4']);
    expect(traceEvents.some(({ name, cat }) => name === 'Conv2D' && cat === 'kernel')).toBe(true);
    expect(first).toMatchObject({ status: 0, out: 'finished: 4 steps, 16 images\n' });
    expect(first.err).toMatch(/distances are not measured in training: no Inception-v3 weights: download/);

    const stopped = await interrupted([...argv, parts]);
    expect(stopped).toMatchObject({
      status: 130,
      out: 'stopped and saved; the same command goes on: 1 steps, 4 images\n',
    });
    const { numTensors } = tf.memory();
    const resumed = await train([...argv, parts]);
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(resumed).toMatchObject({ status: 0, out: first.out });
    expect(resumed.err).toMatch(/goes on after 1 steps, 4 images/);
    expect(stateOf(parts)).toEqual(stateOf(whole));

    const steps = logOf(parts).filter(({ type }) => type === 'step');
    expect(steps.map(({ step }) => step)).toEqual([1, 2, 3, 4]);
    expect(steps.map(({ loss }) => loss)).toEqual(
      logOf(whole)
        .filter(({ type }) => type === 'step')
        .map(({ loss }) => loss),
    );
    expect(steps[0]!.stats.effectiveSampleSize).toBeGreaterThanOrEqual(1);
  });

  it('leaves what the run folder is said to hold', () => {
    const out = join(folder, 'cifar10');
    const has = (part: string) => readdirSync(join(out, part)).sort();
    expect(has('states')).toEqual(
      ['000000000008', '000000000012', '000000000016'].map((name) => `${name}.safetensors`),
    );
    expect(has('snapshots')).toEqual(
      ['000000000008', '000000000016', 'halfway'].map((name) => `${name}-0.9999.safetensors`),
    );
    expect(has('samples')).toEqual(
      ['000000000000', '000000000016'].flatMap((name) => [`${name}-1-step.png`, `${name}-2-step.png`]),
    );
    const { width, height, channels } = decode(readFileSync(join(out, 'samples/000000000016-2-step.png')));
    expect([width, height, channels]).toEqual([70, 70, 3]);
    expect(readdirSync(out).some((name) => name.startsWith('events.out.tfevents'))).toBe(true);
    expect(JSON.parse(readFileSync(join(out, 'config.json'), 'utf8'))).toMatchObject({
      recipe: { name: 'sct-cifar10', batchSize: 4, schedule: { d: 6250 } },
      run: { seed: 0, microBatch: 2 },
      network: { className: 'EDMPrecond', kwargs: { model_type: 'SongUNet', dropout: 0.2 } },
      start: 'random',
      data: { shape: [40, 32, 32, 3], classes: 10 },
      backend: { name: 'wasm', precision: 'float32' },
    });
  });

  it('draws by cm sample the pictures of its last evaluation', async () => {
    const out = join(folder, 'cifar10');
    const images = join(folder, 'drawn');
    const argv = ['sample', out, images, '--images', '4', '--steps', '2', '--backend', 'wasm'];
    const grid = ['--grid', join(folder, 'grid.png')];
    expect(await run([...argv, ...grid], { out: () => {}, err: () => {} })).toBe(0);
    const [drawn, inTraining] = [join(folder, 'grid.png'), join(out, 'samples/000000000016-2-step.png')].map(
      (path) => decode(readFileSync(path)).data,
    );
    // The snapshot is of float16.
    const differences = drawn!.map((value, i) => Math.abs(value - inTraining![i]!));
    expect(Math.max(...differences)).toBeLessThanOrEqual(2);
    expect(new Set(inTraining).size).toBeGreaterThan(50);
  });

  it('says that the network is none of the recipe', async () => {
    const { err } = await train([...argv, join(folder, 'cifar10'), '--seed', '1']);
    expect(err).toContain('cm: not the network of the recipe: network.parameters: 55733891, here 48275\n');
  });

  it('refuses another configuration in the same folder, naming what differs', async () => {
    const out = join(folder, 'cifar10');
    const { status, err } = await train([...argv, out, '--seed', '3', '--batch', '2']);
    expect(status).toBe(1);
    expect(err).toMatch(/recipe\.batchSize is 4 there and 2 here, run\.seed is 0 there and 3 here/);
  });
});

it('names data that are not there', async () => {
  for (const path of ['none.tar.gz', 'none', 'none.zip']) {
    const data = join(folder, path);
    const argv = ['sct-cifar10', '--data', data, '--init', 'random', '--config', tiny('cifar10'), '--out', data];
    expect((await train(argv)).err).toContain(`cm: ${data}: cannot be read (ENOENT)\n`);
    expect(existsSync(data)).toBe(false);
  }
});

it('refuses data that do not fit before it reads them all, and makes no folder', async () => {
  const data = join(folder, 'large.zip');
  await writeEdmDataset(data, doubled(await loadCifar10(cifar10)));
  const out = join(folder, 'refused');
  const argv = ['sct-cifar10', '--data', data, '--init', 'random', '--config', tiny('cifar10'), '--out', out];
  const { status, err } = await train(argv);
  expect(status).toBe(1);
  expect(err).toContain('large.zip: images are [64,64,3], expected [32,32,3] for the network');
  expect(err).not.toContain('images read');
  expect(existsSync(out)).toBe(false);
});

it.runIf(isInstalled())('takes targets in float32 where the network computes in bfloat16', async () => {
  const { steps: _, ...settings } = JSON.parse(readFileSync(tiny('cifar10'), 'utf8')) as { steps: number };
  const config = join(folder, 'precision.json');
  writeFileSync(
    config,
    JSON.stringify({ ...settings, steps: 3, batchSize: 16, microBatch: 16, gridImages: 1, noise: { mean: 2, std: 1 } }),
  );
  const runs: ReturnType<typeof logOf>[] = [];
  for (const precision of ['float32', 'bfloat16']) {
    const out = join(folder, precision);
    const run = ['sct-cifar10', '--data', cifar10, '--init', 'random', '--config', config, '--out', out];
    const { status } = await train([...run, '--threads', '1', '--precision', precision], undefined, 'torch');
    expect(status).toBe(0);
    runs.push(logOf(out).filter(({ type }) => type === 'step'));
  }
  const [exact, narrow] = runs as [(typeof runs)[0], (typeof runs)[0]];
  expect(exact[0]!.stats.effectiveSampleSize).toBeGreaterThan(1.5);
  expect(narrow.map(({ stats }) => stats)).toEqual(exact.map(({ stats }) => stats));
  expect(stateOf(join(folder, 'bfloat16'))).not.toEqual(stateOf(join(folder, 'float32')));
});

it.runIf(isInstalled())('has a scope of another precision than that of the network', async () => {
  await useBackend('torch', 1, { precision: 'bfloat16' });
  const inFloat32 = await scopeOf('torch', {}, { precision: 'bfloat16' });
  const value = 1 + 2 ** -12;
  // What convolutions give is held in bfloat16 there, whether or not the processor multiplies it.
  const [pixel, filter] = [tf.fill([1, 1, 1, 1], value) as tf.Tensor4D, tf.ones([1, 1, 1, 1]) as tf.Tensor4D];
  const product = () => tf.tidy(() => tf.conv2d(pixel, filter, 1, 'same').dataSync()[0]);
  expect([product(), inFloat32(product), product()]).toEqual([1, value, 1]);
  await useBackend('torch', 1);
});

it('keeps references on the backend as they fit there', () => {
  const [cifar10, imagenet64] = [50_000 * 3072, 1_281_167 * 12_288];
  expect([keptAs(cifar10, true), keptAs(cifar10, false)]).toEqual(['float32', 'float32']);
  expect([keptAs(imagenet64, true), keptAs(imagenet64, false)]).toEqual(['bytes', 'none']);
});

describe('with an extractor of features', () => {
  it('measures Fréchet distances from the training images, and keeps the best snapshot', async () => {
    await useBackend('wasm');
    const settings = JSON.parse(readFileSync(tiny('cifar10'), 'utf8')) as object;
    const file = configOf('tiny', { ...settings, steps: 1, phases: 2 });
    const resolved = resolveRun('sct-cifar10', file);
    const out = join(folder, 'distances');
    const colours = {
      name: 'mean colours',
      extract: (images: tf.Tensor4D) => tf.mean(images, [1, 2]) as tf.Tensor2D,
      dispose: () => {},
    };
    const metrics: Record<string, number>[] = [];
    const events = trainInto({
      ...resolved,
      start: await startOf(resolved.recipe, { random: true, network: file.network! }),
      data: cifar10,
      out,
      backend: { name: 'wasm', precision: 'float32' },
      extractor: colours,
    });
    for await (const event of events) if (event.type === 'evaluated') metrics.push(event.metrics);
    // A model of two phases is sampled in two steps.
    expect(metrics.map(Object.keys)).toEqual([['frechetDistance2'], ['frechetDistance2']]);
    expect(metrics[0]!.frechetDistance2).toBeGreaterThan(0);
    expect(readdirSync(join(out, 'snapshots'))).toContain('best-0.9999.safetensors');
    expect(readStatistics(new Uint8Array(readFileSync(join(out, 'reference.npz'))))).toMatchObject({ count: 40 });
  });
});

describe('ImageNet-64', () => {
  it('tunes a conditional EDM2 network from a file, in an EDM2 data set, to the same bits in parts', async () => {
    const data = join(folder, 'imagenet64.zip');
    await writeEdmDataset(data, doubled(await loadCifar10(cifar10)));
    const transfer = join(folder, 'edm2-tiny.safetensors');
    await writeNetwork(transfer);
    const config = join(folder, 'imagenet64.json');
    const { network: _, ...rest } = JSON.parse(readFileSync(tiny('imagenet64'), 'utf8'));
    writeFileSync(config, JSON.stringify(rest));

    const argv = ['sct-imagenet64-s', '--data', data, '--transfer', transfer, '--config', config, '--out'];
    const [whole, parts] = [join(folder, 'imagenet64'), join(folder, 'imagenet64-parts')];
    expect(await train([...argv, whole])).toMatchObject({ status: 0, out: 'finished: 4 steps, 16 images\n' });
    expect((await interrupted([...argv, parts])).status).toBe(130);
    expect((await train([...argv, parts])).status).toBe(0);
    expect(stateOf(parts)).toEqual(stateOf(whole));
    expect(existsSync(join(whole, 'samples/000000000016-2-step.png'))).toBe(true);
    expect(JSON.parse(readFileSync(join(whole, 'config.json'), 'utf8'))).toMatchObject({
      start: 'edm2-tiny.safetensors',
    });
  });

  it('writes snapshots of both averages that say all it takes to sample them', async () => {
    const snapshots = join(folder, 'imagenet64/snapshots');
    expect(readdirSync(snapshots).filter((name) => name.startsWith('000000000016'))).toEqual([
      '000000000016-0.050.safetensors',
      '000000000016-0.100.safetensors',
    ]);
    const path = join(snapshots, '000000000016-0.100.safetensors');
    const checkpoint = await openCheckpoint(path);
    const { metadata } = checkpoint;
    expect(metadata).toMatchObject({
      className: 'Precond',
      images: '16',
      step: '4',
      average: '0.100',
      emaLength: '0.100',
    });
    expect(JSON.parse(metadata.recipe as string)).toMatchObject({ name: 'sct-imagenet64-s', phases: 1, middle: 1.526 });
    const network = networkOf(networkConfigOf(path, checkpoint));
    expect(network.settings.config).toMatchObject({ labelDim: 10, dropout: 0.4, dropoutMaxResolution: 16 });
    tf.tidy(() => {
      const { weights } = network.prepare!(parametersOf(network, checkpoint));
      const images = network.denoiser(weights)(tf.zeros([1, 64, 64, 3]), tf.tensor1d([80]), tf.tensor1d([3], 'int32'));
      expect(images.shape).toEqual([1, 64, 64, 3]);
    });
  });
});

/** A network of the example's tiny configuration as a file that says what it is. */
async function writeNetwork(path: string): Promise<void> {
  await useBackend('wasm');
  const { network: given } = JSON.parse(readFileSync(tiny('imagenet64'), 'utf8'));
  const { config } = await startOf(recipes['sct-imagenet64-s'], { random: true, network: given });
  const network = networkOf(config);
  const { className, kwargs } = network.arguments;
  tf.tidy(() => {
    const tensors = fromTensors(network.toFile(network.init(key(5))));
    writeFileSync(path, writeSafetensors(tensors, { className, config: JSON.stringify(kwargs) }));
  });
}
