import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromFloat32, readSafetensors, toFloat32, writeSafetensors } from '@cm/checkpoints';
import { openCheckpoint } from '@cm/checkpoints/node';
import { powerFunctionEma } from '@cm/optimizers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../src';
import { networkConfigOf } from '../src/network';
import { writeModel } from './snapshot';

let folder: string;
const at = (name: string) => join(folder, name);

/** What a parameter is in the course of training, of duration 1: each is a shape that averages tell apart. */
const courses = [(t: number) => t, (t: number) => Math.sin(5 * t), (t: number) => Math.exp(-3 * t), () => 1];
const [BATCH, STEPS, SNAPSHOTS] = [10, 2000, 16];

/** Averages of the courses at lengths, as training keeps them: each step an update, and at each sixteenth what `keep` does. */
function train(lengths: readonly number[], keep: (images: number, averages: readonly (readonly number[])[]) => void) {
  const decays = lengths.map((sigmaRel) => powerFunctionEma({ sigmaRel }));
  const averages = lengths.map(() => courses.map(() => 0));
  for (let step = 1; step <= STEPS; step++) {
    for (const [i, decay] of decays.entries()) {
      const beta = decay(step);
      averages[i] = averages[i]!.map((average, j) => beta * average + (1 - beta) * courses[j]!(step / STEPS));
    }
    if (step % (STEPS / SNAPSHOTS) === 0) keep(BATCH * step, averages);
  }
  return averages;
}

const file = (values: readonly number[]) => ({
  weight: { dtype: 'F16' as const, shape: [2, 2], data: fromFloat32(Float32Array.from(values), 'F16') },
});

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cli-ema-'));
  mkdirSync(at('run/snapshots'), { recursive: true });
  const lengths = [0.05, 0.1];
  train(lengths, (images, averages) => {
    for (const [i, values] of averages.entries()) {
      const name = lengths[i]!.toFixed(3);
      const metadata = { className: 'Precond', images: String(images), average: name, emaLength: name, step: '7' };
      const path = at(`run/snapshots/${String(images).padStart(12, '0')}-${name}.safetensors`);
      writeFileSync(path, writeSafetensors(file(values), metadata));
    }
  });
  // These are no part of the sum.
  writeFileSync(at('run/snapshots/halfway-0.050.safetensors'), 'x');
  writeFileSync(at('run/snapshots/best-0.050.safetensors'), 'x');
});
afterAll(() => rmSync(folder, { recursive: true }));

async function cm(...argv: string[]) {
  let [out, err] = ['', ''];
  const status = await run(['ema', ...argv], {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  return { status, out, err };
}
const weightOf = (path: string) => {
  const { tensors, metadata } = readSafetensors(new Uint8Array(readFileSync(path)));
  const { data, dtype, shape } = tensors.weight!;
  return { values: Array.from(toFloat32(data, dtype)), dtype, shape, metadata };
};

describe('cm ema', () => {
  it.each([0.04, 0.075, 0.15])('gives the average that training would have kept at length %s', async (length) => {
    const { status, out } = await cm(at('run'), '--length', String(length), '--json');
    expect(status).toBe(0);
    const { to, images, terms } = JSON.parse(out);
    expect([to, images]).toEqual([
      at(`run/snapshots/posthoc-000000020000-${length.toFixed(3)}.safetensors`),
      BATCH * STEPS,
    ]);
    const { values, dtype, shape, metadata } = weightOf(to);
    const [expected] = train([length], () => {});
    for (const [i, value] of values.entries()) expect(Math.abs(value - expected![i]!)).toBeLessThan(3e-3);
    expect([dtype, shape]).toEqual(['F16', [2, 2]]);
    expect(metadata).toEqual({
      className: 'Precond',
      average: length.toFixed(3),
      emaLength: length.toFixed(3),
      images: '20000',
      imagesSeen: '20000',
      reconstructed: 'post-hoc',
    });
    expect(terms).toHaveLength(2 * SNAPSHOTS);
    const sum = terms.reduce((total: number, { coefficient }: { coefficient: number }) => total + coefficient, 0);
    expect(sum).toBeCloseTo(1, 10);
  });

  it('gives back a length that was kept, and one at an earlier moment of training', async () => {
    await cm(at('run'), '--length', '0.1', '--images', '10000', '--out', at('half.safetensors'));
    const half = weightOf(at('half.safetensors'));
    const kept = weightOf(at('run/snapshots/000000010000-0.100.safetensors'));
    for (const [i, value] of half.values.entries()) expect(value).toBeCloseTo(kept.values[i]!, 3);
    expect(half.metadata).toMatchObject({ images: '10000', emaLength: '0.100' });
  });

  it('writes a snapshot that says which network it is, as those that it is made of', async () => {
    for (const [images, variant] of [
      ['000000000008', 'a'],
      ['000000000016', 'b'],
    ] as const) {
      const metadata = { average: '0.050', emaLength: '0.050', images: String(Number(images)) };
      const path = at(`networks/snapshots/${images}-0.050.safetensors`);
      await writeModel(path, { recipe: 'sct-imagenet64-s', variant, metadata });
    }
    const { out } = await cm(at('networks'), '--length', '0.06');
    const path = at('networks/snapshots/posthoc-000000000016-0.060.safetensors');
    expect(out).toBe(`${path}: length 0.06, at 16 images, of 2 snapshots\n`);
    const checkpoint = await openCheckpoint(path);
    expect(networkConfigOf(path, checkpoint)).toMatchObject({ config: { resolution: 8, labelDim: 3 } });
    expect(await cm(at('networks'), '--length', '0.06')).toMatchObject({
      status: 1,
      err: `cm: ${path} is there already; --force replaces it\n`,
    });
    // A run still stands for its newest snapshot of training.
    const argv = ['sample', at('networks'), at('images'), '--images', '1', '--backend', 'wasm', '--json'];
    let sampled = '';
    await run(argv, { out: (text) => (sampled += text), err: () => {} });
    expect(JSON.parse(sampled).model).toBe(at('networks/snapshots/000000000016-0.050.safetensors'));
    expect(readdirSync(at('images'))).toContain('00000000.png');
  });

  it.each([
    ['no run', () => [folder, '--length', '0.05'], /has no snapshots, expected the folder of a run/],
    [
      'a length that is none',
      () => [at('run'), '--length', '0.3'],
      /--length is 0\.3, expected above 0 and at most 0\.28/,
    ],
    [
      'images after the end',
      () => [at('run'), '--length', '0.1', '--images', '20001'],
      /--images is 20001, expected .* at most 20000/,
    ],
    [
      'too few snapshots',
      () => [at('run'), '--length', '0.1', '--images', '500'],
      /has 0 snapshots up to 500 images, expected at least 2/,
    ],
    ['no length', () => [at('run')], /--length is missing, expected σ_rel/],
    ['a flag that is none', () => [at('run'), '--lenght', '0.1'], /unknown option '--lenght'[\s\S]*--length/],
  ])('%s: says so', async (_, argv, message) => {
    const { status, err } = await cm(...argv());
    expect(status).toBe(1);
    expect(err).toMatch(message);
  });

  it('needs a recipe with power-function averages', async () => {
    for (const images of ['000000000008', '000000000016']) {
      await writeModel(at(`constant/snapshots/${images}-0.9999.safetensors`), { metadata: { average: '0.9999' } });
    }
    expect(await cm(at('constant'), '--length', '0.05')).toMatchObject({
      status: 1,
      err: expect.stringMatching(/has averages 0\.9999, none of them a power function's: .* recipe has ema\.sigmaRel/),
    });
  });
});
