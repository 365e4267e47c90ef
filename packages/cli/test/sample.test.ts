import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readNpz } from '@cm/checkpoints';
import { openCheckpoint } from '@cm/checkpoints/node';
import { loadImages, openEdmDataset } from '@cm/datasets/node';
import {
  type Denoiser,
  type SampleOptions,
  sampleHeun,
  sampleMultistep,
  sampleOneStep,
  samplePhased,
  toPixels,
} from '@cm/samplers';
import { phaseGrid } from '@cm/schedules';
import { withDenoiser } from '@cm/trainer';
import * as tf from '@tensorflow/tfjs-core';
import { decode } from 'fast-png';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../src';
import { networkConfigOf, networkOf, parametersOf } from '../src/network';
import { writeImages } from '../src/sample-files';
import { noiseOf } from '../src/sampling';
import { writeModel } from './snapshot';

let folder: string;
const at = (name: string) => join(folder, name);
const recipe = 'sct-cifar10-cond';

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cli-sample-'));
  const average = { average: '0.9999' };
  await writeModel(at('run/snapshots/000000000008-0.9999.safetensors'), { recipe, variant: 'old', metadata: average });
  await writeModel(at('run/snapshots/000000000016-0.9999.safetensors'), { recipe, metadata: average });
  await writeModel(at('run/snapshots/best-0.9999.safetensors'), { recipe, variant: 'best', metadata: average });
  await writeModel(at('run/snapshots/halfway-0.9999.safetensors'), { recipe, variant: 'half', metadata: average });
  await writeModel(at('diffusion.safetensors'));
  await writeModel(at('phased.safetensors'), { recipe: 'sct-cifar10-4-phases', changes: { eta: 0.8 }, classes: 0 });
});
afterAll(() => rmSync(folder, { recursive: true }));

async function cm(...argv: string[]) {
  let [out, err] = ['', ''];
  const status = await run(['sample', ...argv, '--backend', 'wasm'], {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  return { status, out, err };
}

const newest = () => at('run/snapshots/000000000016-0.9999.safetensors');
const pictures = (name: string) =>
  readdirSync(at(name))
    .filter((file) => file.endsWith('.png'))
    .sort()
    .map((file) => Array.from(decode(readFileSync(join(at(name), file))).data));

/** The bytes of images 0, 1, … of a model by a sampler, without the command. */
async function drawn(
  path: string,
  labels: readonly number[] | null,
  draw: (model: Denoiser, options: SampleOptions) => tf.Tensor4D,
  count = labels?.length ?? 2,
) {
  const checkpoint = await openCheckpoint(path);
  const network = networkOf(networkConfigOf(path, checkpoint));
  const params = parametersOf(network, checkpoint);
  const bytes = await withDenoiser(network, params, async (model) =>
    tf.tidy(() => {
      const condition = labels && { condition: tf.tensor1d([...labels], 'int32') };
      return toPixels(draw(model, { shape: [count, 8, 8, 3], key: noiseOf(0), ...condition }));
    }),
  );
  tf.dispose(params);
  return Array.from({ length: count }, (_, i) => Array.from(bytes.subarray(192 * i, 192 * (i + 1))));
}

describe('cm sample', () => {
  it('draws image i from its own seed, whatever the batch and the kind of file', async () => {
    expect(await cm(at('run'), at('a'), '--images', '5')).toMatchObject({
      status: 0,
      out: `${at('a')}: 5 images, one step from 80, of ${newest()}\n`,
    });
    const { numTensors } = tf.memory();
    await cm(newest(), at('b'), '--images', '4', '--batch', '3');
    expect(tf.memory().numTensors).toBe(numTensors);
    await cm(newest(), at('b.zip'), '--images', '5', '--batch', '2');
    await cm(newest(), at('b.npz'), '--images', '5', '--batch', '1');
    const expected = await drawn(newest(), [0, 1, 2, 0, 1], sampleOneStep);
    expect(new Set(expected.map(String)).size).toBe(5);
    expect(readdirSync(at('a')).sort()[4]).toBe('00000004.png');
    expect(pictures('a')).toEqual(expected);
    expect(pictures('b')).toEqual(expected.slice(0, 4));

    const zip = await openEdmDataset(at('b.zip'), { threads: 0 });
    const { images, labels } = await loadImages(zip);
    await zip.close();
    expect([Array.from(images), Array.from(labels!)]).toEqual([expected.flat(), [0, 1, 2, 0, 1]]);
    const { arr_0, arr_1 } = readNpz(new Uint8Array(readFileSync(at('b.npz'))));
    expect([arr_0!.shape, Array.from(arr_0!.data)]).toEqual([[5, 8, 8, 3], expected.flat()]);
    expect(Array.from(new Int32Array(arr_1!.data.slice().buffer))).toEqual([0, 1, 2, 0, 1]);
  });

  it('takes the steps that the recipe has: its middle level, its phases and η', async () => {
    expect(await cm(at('run'), at('two'), '--images', '2', '--steps', '2')).toMatchObject({ status: 0 });
    const two = (model: Denoiser, options: SampleOptions) => sampleMultistep(model, { ...options, middle: [0.821] });
    expect(pictures('two')).toEqual(await drawn(newest(), [0, 1], two));

    const { out } = await cm(at('phased.safetensors'), at('phased'), '--images', '2');
    expect(out).toMatch(/2 images, 4 phases, η 0\.8, of /);
    const phased = (model: Denoiser, options: SampleOptions) =>
      samplePhased(model, { ...options, phases: phaseGrid({ phases: 4 }), eta: 0.8 });
    expect(pictures('phased')).toEqual(await drawn(at('phased.safetensors'), null, phased));
    expect((await cm(at('run'), at('x'), '--steps', '4')).err).toMatch(
      /--steps is 4, expected 1 or 2: .* sct-cifar10-/,
    );
  });

  it('samples a diffusion model by Heun’s method, and by a recipe’s rule where one is named', async () => {
    const path = at('diffusion.safetensors');
    expect((await cm(path, at('18'), '--images', '1')).out).toMatch(/1 images, Heun, 18 steps from 80/);
    await cm(path, at('heun'), '--images', '2', '--steps', '3', '--class', '2');
    const heun = (model: Denoiser, options: SampleOptions) => sampleHeun(model, { ...options, steps: 3 });
    expect(pictures('heun')).toEqual(await drawn(path, [2, 2], heun));
    await cm(path, at('ect'), '--images', '2', '--recipe', 'ect-cifar10');
    expect(pictures('ect')).toEqual(await drawn(path, [0, 1], sampleOneStep));
  });

  it('samples the quickstart’s diffusion model, which says itself what it is', async () => {
    const model = new URL('../../../examples/quickstart/assets/diffusion.safetensors', import.meta.url);
    const { status, out, err } = await cm(fileURLToPath(model), at('digits'), '--images', '4', '--threads', '1');
    expect([status, out]).toEqual([0, expect.stringContaining('4 images, Heun, 18 steps from 10')]);
    expect(err).not.toContain('Error');
    // Strokes on black.
    for (const pixels of pictures('digits')) {
      const white = pixels.filter((value) => value > 200).length / pixels.length;
      expect(white).toBeGreaterThan(0.03);
      expect(white).toBeLessThan(0.4);
    }
  });

  it('is guided by the run’s snapshot at half the training: D_bad + w·(D_good − D_bad)', async () => {
    await cm(at('run'), at('guided'), '--images', '2', '--guidance', '1.5');
    const half = at('run/snapshots/halfway-0.9999.safetensors');
    await cm(at('run'), at('same'), '--images', '2', '--guidance', '1.5', '--guide', half);
    expect(pictures('same')).toEqual(pictures('guided'));
    const [good, bad] = [await drawn(newest(), [0, 1], sampleOneStep), await drawn(half, [0, 1], sampleOneStep)];
    // Of bytes that neither are nor become clipped.
    const inner = (value: number) => value > 2 && value < 253;
    let compared = 0;
    for (const [i, image] of pictures('guided').entries()) {
      for (const [j, value] of image.entries()) {
        const [a, b] = [good[i]![j]!, bad[i]![j]!];
        if (![a, b, value].every(inner)) continue;
        expect(Math.abs(value - (b + 1.5 * (a - b)))).toBeLessThanOrEqual(2);
        compared++;
      }
    }
    expect(compared).toBeGreaterThan(50);
    // The recipe's strength, and strength 1, which is off.
    expect(await cm(at('run'), at('default'), '--images', '1', '--guide', half)).toMatchObject({ status: 0 });
    await cm(at('run'), at('off'), '--images', '2', '--guidance', '1');
    expect(pictures('off')).toEqual(good);
  });

  it('keeps images that are there, and refuses those of another model or other settings', async () => {
    await cm(at('run'), at('kept'), '--images', '3');
    const whole = pictures('kept');
    rmSync(at('kept/00000001.png'));
    const kept = at('kept/00000002.png');
    const other = readFileSync(at('kept/00000000.png'));
    writeFileSync(kept, other);
    expect(await cm(at('run'), at('kept'), '--images', '4')).toMatchObject({
      status: 0,
      err: 'cm: goes on after 2 images\n',
    });
    expect(readFileSync(kept)).toEqual(other);
    const now = pictures('kept');
    expect([now.length, now[1]]).toEqual([4, whole[1]]);

    const { status, err } = await cm(at('run'), at('kept'), '--best', '--seed', '3');
    expect(status).toBe(1);
    expect(err).toMatch(
      /holds images of another configuration: model is ".*" there and ".*" here, seed is 0 there and 3/,
    );
  });

  it('goes on with an array that was begun', async () => {
    const source = (fails: boolean) => ({
      identity: { model: 'x' },
      count: 4,
      shape: [1, 2, 3] as const,
      *images(numbers: readonly number[]) {
        for (const number of numbers) {
          if (fails && number === 2) throw new Error('stopped');
          yield new Uint8Array(6).fill(number);
        }
      },
    });
    await expect(writeImages(at('c.npz'), source(true))).rejects.toThrow('stopped');
    // A third image, half written.
    writeFileSync(at('c.npz.partial'), new Uint8Array(3), { flag: 'a' });
    await expect(writeImages(at('c.npz'), { ...source(false), identity: { model: 'y' } })).rejects.toThrow(
      'is of another model, or other settings',
    );
    const done: number[] = [];
    await writeImages(at('c.npz'), source(false), { onProgress: (progress) => done.push(progress.done) });
    expect(done).toEqual([3, 4]);
    const { arr_0 } = readNpz(new Uint8Array(readFileSync(at('c.npz'))));
    expect(Array.from(arr_0!.data)).toEqual([0, 1, 2, 3].flatMap((number) => Array(6).fill(number)));
    expect(readdirSync(folder).filter((name) => name.startsWith('c.npz'))).toEqual(['c.npz']);
    await expect(writeImages(at('c.npz'), source(false))).rejects.toThrow('there already; --force');
  });

  it('makes a picture of the first images, and tells what it did as JSON', async () => {
    const { out } = await cm(at('run'), at('d.zip'), '--images', '3', '--grid', at('grid.png'), '--best', '--json');
    expect(JSON.parse(out)).toEqual({
      to: at('d.zip'),
      images: 3,
      model: at('run/snapshots/best-0.9999.safetensors'),
      sampler: 'one step from 80',
    });
    const { width, height } = decode(readFileSync(at('grid.png')));
    expect([width, height]).toEqual([22, 22]);
  });

  it.each([
    ['no run', () => [folder, at('x')], /has no snapshots, expected the folder of a run/],
    ['a class that is none', () => [at('run'), at('x'), '--class', '3'], /--class is 3, expected below 3, its classes/],
    [
      'a class of an unconditional model',
      () => [at('phased.safetensors'), at('x'), '--class', '0'],
      /--class is 0, expected none: it is unconditional/,
    ],
    ['no guide', () => [at('diffusion.safetensors'), at('x'), '--guidance', '2'], /--guide is missing, expected/],
    [
      'a guide of other images',
      () => [at('run'), at('x'), '--guide', at('phased.safetensors')],
      /--guide is a model of \[.*\] 8,8,3,0, expected those of .*, 8,8,3,3/,
    ],
    ['a grid among the images', () => [at('run'), at('x'), '--grid', at('x/grid.png')], /taken for one of the images/],
    ['a recipe that is none', () => [at('run'), at('x'), '--recipe', 'sct-cifra10'], /did you mean sct-cifar10\?/],
    ['a flag that is none', () => [at('run'), at('x'), '--image', '3'], /unknown option '--image'[\s\S]*--images/],
  ])('%s: says so', async (_, argv, message) => {
    const { status, err } = await cm(...argv());
    expect(status).toBe(1);
    expect(err).toMatch(message);
  });
});
