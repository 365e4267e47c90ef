import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { key, uniformArray } from '@cm/random';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { build } from 'tsup';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadState } from '../src/node';
import { numbersOf } from './tiny';

const kills = 20;
const steps = 120;

let folder: string;
beforeAll(async () => {
  await tf.setBackend('cpu');
  folder = mkdtempSync(join(tmpdir(), 'killed-'));
  // One file, so that a process starts in a fraction of a second.
  await build({
    entry: [fileURLToPath(new URL('child.ts', import.meta.url))],
    outDir: folder,
    outExtension: () => ({ js: '.mjs' }),
    format: 'esm',
    target: 'es2022',
    platform: 'node',
    noExternal: [/.*/],
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    tsconfig: fileURLToPath(new URL('../../../tsconfig.json', import.meta.url)),
    config: false,
    silent: true,
    dts: false,
  });
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Starts the run, or goes on with it, and ends it by a signal so many milliseconds after its first step, if at all. */
function start(name: string, end?: { signal: NodeJS.Signals; after: number }) {
  const child = spawn(process.execPath, [join(folder, 'child.mjs'), join(folder, name), String(steps)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let errors = '';
  child.stdout.on('data', (data) => {
    if (output === '' && end) setTimeout(() => child.kill(end.signal), end.after);
    output += data;
  });
  child.stderr.on('data', (data) => {
    errors += data;
  });
  return new Promise<{ code: number | null; taken: number[] }>((resolve) =>
    child.on('close', (code) => {
      if (code === 1) console.error(errors);
      resolve({ code, taken: [...output.matchAll(/step (\d+)\n/g)].map(([, step]) => Number(step)) });
    }),
  );
}

/** The log's lines, without the measurements. */
const logOf = (name: string) =>
  readFileSync(join(folder, name, 'log.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => {
      const { type, step, images, loss, learningRate, stats } = JSON.parse(line);
      return { type, step, images, loss, learningRate, stats };
    });

const result = async (name: string) => numbersOf((await loadState(join(folder, name, 'states')))!);

describe('a training process', () => {
  it(`killed at ${kills} random moments ends in the bits of one that was not`, { timeout: 180_000 }, async () => {
    expect(await start('whole')).toEqual({ code: 0, taken: Array.from({ length: steps }, (_, i) => i + 1) });

    let reached = 0;
    for (const moment of uniformArray(key(20), kills)) {
      const { code, taken } = await start('killed', { signal: 'SIGKILL', after: 50 * moment });
      // Every second step is saved. Of a step that was reported, at most the one before may not have been saved yet.
      expect(taken[0]! % 2).toBe(1);
      expect(taken[0]).toBeGreaterThanOrEqual(reached - 1);
      reached = taken.at(-1)!;
      expect(code, `a process was to be killed, not to finish: ${reached} of ${steps} steps`).toBeNull();
    }
    expect(await start('killed')).toMatchObject({ code: 0 });
    expect(await result('killed')).toEqual(await result('whole'));
    expect(logOf('whole').map(({ step }) => step)).toEqual(Array.from({ length: steps }, (_, i) => i + 1));
    expect(logOf('killed')).toEqual(logOf('whole'));
  });

  it('saves and leaves at SIGTERM and at Ctrl-C, and the same command goes on', { timeout: 180_000 }, async () => {
    let last = 0;
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const { code, taken } = await start('stopped', { signal, after: 10 });
      expect(code).toBe(130);
      expect(taken[0]).toBe(last + 1);
      last = taken.at(-1)!;
      const newest = readdirSync(join(folder, 'stopped', 'states'))
        .sort()
        .at(-1);
      expect(newest).toBe(`${String(8 * last).padStart(12, '0')}.safetensors`);
    }
    const resumed = await start('stopped');
    expect(resumed).toMatchObject({ code: 0 });
    expect(resumed.taken[0]).toBe(last + 1);
    expect(await result('stopped')).toEqual(await result('whole'));
  });
});
