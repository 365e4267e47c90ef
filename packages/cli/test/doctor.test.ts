import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../src';
import { type Diagnosis, diagnose } from '../src/doctor';

let folder: string;
const environment = { ...process.env };
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cli-doctor-'));
  for (const name of ['CM_CACHE', 'TORCH_HOME', 'CM_TORCH_HOME', 'CM_TFJS_NODE_HOME']) process.env[name] = folder;
});
afterAll(() => {
  process.env = environment;
  rmSync(folder, { recursive: true });
});

describe('cm doctor', () => {
  it('on a machine with nothing set up has WebAssembly, and says what gives more', async () => {
    let out = '';
    expect(await run(['doctor', '--json'], { out: (text) => (out += text), err: () => {} })).toBe(0);
    const diagnosis = JSON.parse(out) as Diagnosis;
    expect(diagnosis).toMatchObject({
      node: process.version,
      processors: expect.any(Number),
      chosen: 'wasm',
      backends: [
        { name: 'torch', usable: false, advice: 'not set up: npx cm-torch setup' },
        { name: 'tensorflow', usable: false, advice: 'not set up: npx cm-tfjs-node setup' },
        { name: 'wasm', usable: true, device: 'cpu', threads: availableParallelism() },
      ],
      files: [
        { name: 'Inception-v3', path: null, advice: expect.stringMatching(/^no Inception-v3 weights: download /) },
        { name: 'DINOv2 ViT-B/14', path: null },
        { name: 'DINOv2 ViT-L/14', path: null },
      ],
    });
    const { version, gigaflops } = diagnosis.backends[2]!;
    expect(version).toMatch(/^WebAssembly, (plain|relaxed) SIMD$/);
    expect(gigaflops!.matMul).toBeGreaterThan(0);
    expect(gigaflops!.convolution).toBeGreaterThan(0);
  });

  it('prints the same as lines', async () => {
    let out = '';
    await run(['doctor'], { out: (text) => (out += text), err: () => {} });
    expect(out).toMatch(/^Node\.js +v\d+\.\d+\.\d+ on \w+ \w+; arrays of up to \d+\.\d GiB\nmachine +\d+ × /);
    expect(out).toMatch(/^torch +not set up: npx cm-torch setup$/m);
    expect(out).toMatch(
      /^wasm +WebAssembly, \w+ SIMD, \d+ threads?: products [\d.,]+, convolutions [\d.,]+ GFLOP\/s$/m,
    );
    expect(out).toMatch(/^default +--backend wasm$/m);
  });

  it('starts every backend that this machine has, and leaves no tensors', async () => {
    process.env = { ...environment };
    const { numTensors } = tf.memory();
    const { backends, chosen } = await diagnose({ seconds: 0.01 });
    expect(tf.memory().numTensors).toBe(numTensors);
    expect(backends.find(({ name }) => name === chosen)!.usable).toBe(true);
    for (const { name, usable, version, advice, gigaflops } of backends) {
      if (!usable) expect(advice, name).toBeTruthy();
      else expect([version, gigaflops!.matMul > 0], name).toEqual([expect.any(String), true]);
    }
  });
});
