import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type CheckpointTensor, openCheckpoint, readSafetensors } from '@cm/checkpoints';
import { runReadmeExamples } from '@cm/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Inspection, run } from '../src';

const fixture = (name: string) => fileURLToPath(new URL(`../../checkpoints/test/fixtures/${name}`, import.meta.url));
const snapshot = 'edm2-img64-s-1073741-0.075.pkl';
const home = process.cwd();

beforeEach(() => {
  process.chdir(mkdtempSync(join(tmpdir(), 'cli-')));
  copyFileSync(fixture('edm2-snapshot.pkl'), snapshot);
});
afterEach(() => {
  const folder = process.cwd();
  process.chdir(home);
  rmSync(folder, { recursive: true });
});

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

const bitsOf = (tensors: Readonly<Record<string, CheckpointTensor>>) =>
  Object.fromEntries(
    Object.entries(tensors)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, { dtype, shape, data }]) => [name, { dtype, shape, data: Buffer.from(data).toString('base64') }]),
  );

describe('cm inspect', () => {
  it('prints a table of tensors, and what the network is', async () => {
    const { status, out, err } = await cm('inspect', snapshot);
    expect([status, err]).toEqual([0, '']);
    expect(out).toMatch(/^file +edm2-img64-s-1073741-0\.075\.pkl, pickle, 118\.1 KiB$/m);
    expect(out).toMatch(/^tensors +63 of 45,675 values, at ema$/m);
    expect(out).toMatch(/^class +Precond$/m);
    expect(out).toMatch(/^config +\{"label_dim":4,/m);
    expect(out).toMatch(/^EMA length +0\.075$/m);
    expect(out).toMatch(/^images seen +1,073,741,000$/m);
    expect(out).toMatch(/^unet\.out_conv\.weight +F16 +\[3, 8, 3, 3\] +432 B$/m);
  });

  it('prints the same as JSON', async () => {
    const { out } = await cm('inspect', snapshot, '--json');
    const inspection = JSON.parse(out) as Inspection;
    expect(inspection).toMatchObject({
      format: 'pickle',
      root: 'ema',
      className: 'Precond',
      config: { img_resolution: 8 },
      emaLength: 0.075,
      imagesSeen: 1_073_741_000,
      metadata: { dataset_kwargs: { use_labels: true } },
    });
    expect(inspection.tensors).toHaveLength(63);
  });

  it('looks at one entry of several, and at values that JSON has not', async () => {
    const { out } = await cm('inspect', fixture('training.pth'), '--at', 'model.net', '--json');
    expect((JSON.parse(out) as Inspection).tensors[0]).toEqual({
      name: '0.weight',
      dtype: 'F32',
      shape: [2, 3],
      bytes: 24,
    });
    const whole = JSON.parse((await cm('inspect', fixture('training.pth'), '--json')).out) as Inspection;
    expect(whole.metadata).toMatchObject({ seed: String(2n ** 70n), bytes: '2 bytes', pair: [1, null] });
  });
});

describe('cm convert', () => {
  it('goes through every format and back, bit for bit', async () => {
    expect(await cm('convert', snapshot, 'a.safetensors')).toMatchObject({ status: 0, err: '' });
    expect((await cm('convert', 'a.safetensors', 'b.pt')).err).toMatch(/no place for .*config/);
    expect((await cm('convert', 'b.pt', 'c.npz')).err).toBe('');
    expect(await cm('convert', 'c.npz', 'd.pth')).toMatchObject({ status: 0 });
    const expected = bitsOf(openCheckpoint(readFileSync(snapshot)).tensors);
    for (const path of ['a.safetensors', 'b.pt', 'c.npz', 'd.pth']) {
      expect(bitsOf(openCheckpoint(readFileSync(path)).tensors), path).toEqual(expected);
    }
  });

  it('keeps the configuration in the metadata of safetensors', async () => {
    const { out } = await cm('convert', snapshot, 'a.safetensors', '--json');
    expect(JSON.parse(out)).toMatchObject({ from: snapshot, to: 'a.safetensors', tensors: 63, leftOut: [] });
    const { metadata } = readSafetensors(readFileSync('a.safetensors'));
    expect(metadata.className).toBe('Precond');
    expect(JSON.parse(metadata.config!)).toMatchObject({ img_resolution: 8, channel_mult: [1, 2] });
    expect(JSON.parse(metadata.dataset_kwargs!)).toMatchObject({ path: 'img64.zip' });
    const { out: again } = await cm('inspect', 'a.safetensors', '--json');
    expect((JSON.parse(again) as Inspection).config).toMatchObject({ img_resolution: 8 });
  });

  it('replaces a file only when told to', async () => {
    await cm('convert', snapshot, 'a.npz');
    expect(await cm('convert', snapshot, 'a.npz')).toMatchObject({
      status: 1,
      err: expect.stringMatching(/there already/),
    });
    expect(await cm('convert', snapshot, 'a.npz', '--force')).toMatchObject({ status: 0 });
  });

  it('says what is wrong in one line', async () => {
    expect(await cm('convert', snapshot, 'a.onnx')).toEqual({
      status: 1,
      out: '',
      err: 'cm: a.onnx ends with ".onnx", expected one of .safetensors, .pt, .pth, .npz\n',
    });
    expect(await cm('inspect', 'nowhere.pt')).toMatchObject({
      status: 1,
      err: expect.stringMatching(/^cm: ENOENT.*\n$/),
    });
    expect(await cm('inspect', fixture('make.py'))).toMatchObject({
      status: 1,
      err: expect.stringMatching(/^cm: .*make\.py: file of \d+ bytes begins with/),
    });
    expect(existsSync('a.onnx')).toBe(false);
  });
});

it('help lists commands and options; an unknown command is an error', async () => {
  const { status, out } = await cm('--help');
  expect(status).toBe(0);
  expect(out).toMatch(/inspect.*<file>[\s\S]*convert.*<in> <out>/);
  expect((await cm('convert', '--help')).out).toMatch(/--at[\s\S]*--force[\s\S]*--json/);
  expect(await cm('paint')).toMatchObject({ status: 1, err: expect.stringMatching(/unknown command 'paint'/) });
});

it("runs the README's example", async () => {
  const [inspected, [bytes]] = (await runReadmeExamples(new URL('../README.md', import.meta.url))) as [
    unknown[],
    unknown[],
  ];
  expect(inspected).toEqual(['pickle', 1_073_741_000, 0.075, 63]);
  expect(bytes).toBe(readFileSync('edm2.safetensors').length);
});
