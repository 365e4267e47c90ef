import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEdmDataset } from '@cm/datasets/node';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { picturesOf } from '../../datasets/test/files';
import { run } from '../src';

let folder: string;
const at = (name: string) => join(folder, name);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cli-dataset-'));
  for (const [name, bytes] of Object.entries(picturesOf(['cat/1.png', 'cat/2.png', 'dog/1.png']))) {
    mkdirSync(at(`images/${name.slice(0, 3)}`), { recursive: true });
    writeFileSync(at(`images/${name}`), bytes);
  }
});
afterEach(() => rmSync(folder, { recursive: true }));

async function cm(...argv: string[]) {
  let [out, err] = ['', ''];
  const status = await run(['dataset', ...argv, '--threads', '0'], {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  return { status, out, err };
}

describe('cm dataset', () => {
  it('makes a data set of a folder of classes', async () => {
    expect(await cm(at('images'), at('x.zip'), '--resolution', '4')).toEqual({
      status: 0,
      out: `${at('x.zip')}: 3 images of 4 × 4, 2 classes\n`,
      err: '',
    });
    const set = await openEdmDataset(at('x.zip'), { threads: 0 });
    expect([set.shape, set.labels]).toEqual([[3, 4, 4, 3], Int32Array.of(0, 0, 1)]);
    await set.close();
  });

  it('prints the same as JSON', async () => {
    const { out } = await cm(at('images'), at('x.zip'), '--json');
    expect(JSON.parse(out)).toEqual({ to: at('x.zip'), images: 3, classes: 2, damaged: [], resumed: 0, resolution: 8 });
  });

  it('names what is damaged, and ends with an error', async () => {
    writeFileSync(at('images/cat/3.png'), 'nothing');
    const { status, out, err } = await cm(at('images'), at('x.zip'), '--resolution', '8');
    expect(status).toBe(1);
    expect(out).toBe(`${at('x.zip')}: 3 images of 8 × 8, 2 classes\n`);
    expect(err.split('\n')).toEqual([
      expect.stringMatching(/^cm: left out .*cat\/3\.png: begins with 6e 6f 74 68, expected a PNG or JPEG file$/),
      `cm: 1 of 4 images could not be read and are not in ${at('x.zip')}`,
      '',
    ]);
  });

  it('goes on where it was', async () => {
    // A first run that ended before any image.
    writeFileSync(at('x.zip.partial'), '');
    writeFileSync(at('x.zip.partial.jsonl'), '{"identity":"other"}\n');
    const { status, err } = await cm(at('images'), at('x.zip'));
    expect(status).toBe(1);
    expect(err).toMatch(/x\.zip\.partial\.jsonl: is of another source, or other settings; remove it to begin anew/);
  });

  it.each([
    ['another format', () => [at('images'), at('x.tar')], 'ends with ".tar", expected .zip'],
    ['a file that is there', () => [at('images'), at('images')], 'expected .zip'],
    [
      'a resolution that is none',
      () => [at('images'), at('x.zip'), '--resolution', '4x4'],
      '--resolution is 4x4, expected',
    ],
    ['no source', () => [at('none'), at('x.zip')], 'none: cannot be read (ENOENT)'],
  ])('%s: one line of error', async (_, argv, message) => {
    const { status, err } = await cm(...argv());
    expect(status).toBe(1);
    expect(err).toContain(message);
    expect(err.trim().split('\n')).toHaveLength(1);
  });

  it('replaces a file only when told to', async () => {
    writeFileSync(at('x.zip'), '');
    expect(await cm(at('images'), at('x.zip'))).toMatchObject({
      status: 1,
      err: expect.stringMatching(/there already/),
    });
    expect(await cm(at('images'), at('x.zip'), '--force')).toMatchObject({ status: 0 });
  });
});
