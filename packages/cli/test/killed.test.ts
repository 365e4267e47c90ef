import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readSafetensors } from '@cm/checkpoints';
import { loadCifar10, writeEdmDataset } from '@cm/datasets/node';
import { key, uniformArray } from '@cm/random';
import { build } from 'tsup';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { doubled } from './doubled';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const cifar10 = here('fixtures/cifar10');
const kills = 10;
const steps = 36;

let folder: string;
let program: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'train-killed-'));
  // One file, so that a process starts in a second; beside the packages, where it finds TensorFlow.js's WebAssembly.
  mkdirSync(here('../node_modules/.cache'), { recursive: true });
  program = join(mkdtempSync(here('../node_modules/.cache/killed-')), 'main.js');
  writeFileSync(join(dirname(program), 'package.json'), '{ "type": "module" }');
  await build({
    entry: { main: here('../src/main.ts'), 'image-worker': here('../../datasets/src/image-worker.ts') },
    outDir: dirname(program),
    format: 'esm',
    target: 'es2022',
    platform: 'node',
    splitting: false,
    noExternal: [/^(?!@tensorflow)/],
    external: [/^@tensorflow/],
    banner: {
      js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);",
    },
    tsconfig: here('../../../tsconfig.json'),
    config: false,
    silent: true,
    dts: false,
  });
}, 60_000);
afterAll(() => {
  rmSync(folder, { recursive: true });
  rmSync(dirname(program), { recursive: true });
});

/** Runs the example's command, killing it so many milliseconds after its first step, if at all. Returns its exit status, null when killed. */
function train(argv: readonly string[], killAfter?: number): Promise<number | null> {
  const child = spawn(process.execPath, [program, 'train', ...argv, '--backend', 'wasm'], {
    // Whatever weights this machine has: without them no distances are measured.
    env: { ...process.env, CM_CACHE: folder, TORCH_HOME: folder },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let output = '';
  child.stderr.on('data', (data) => {
    const begun = output.includes('images/s');
    output += data;
    if (!begun && output.includes('images/s') && killAfter !== undefined) {
      setTimeout(() => child.kill('SIGKILL'), killAfter);
    }
  });
  return new Promise((resolve) =>
    child.on('close', (code) => {
      if (code) console.error(output);
      resolve(code);
    }),
  );
}

/** Digests of all tensors of the newest state. The checksums are of the header too, which has the seconds that it took. */
function stateOf(out: string) {
  const newest = readdirSync(join(out, 'states')).sort().at(-1)!;
  const { tensors } = readSafetensors(new Uint8Array(readFileSync(join(out, 'states', newest))));
  const { checksums: _, ...trained } = tensors;
  return Object.fromEntries(
    Object.entries(trained).map(([name, { data }]) => [name, createHash('sha1').update(data).digest('hex')]),
  );
}

/** The tiny configuration of an example, long enough to be killed in. */
function configOf(example: string): string {
  const tiny = JSON.parse(readFileSync(here(`../../../examples/${example}/config/tiny.json`), 'utf8'));
  const path = join(folder, `${example}.json`);
  writeFileSync(path, JSON.stringify({ ...tiny, steps, saveEvery: tiny.batchSize, evaluateEvery: 10_000 }));
  return path;
}

const isStep = ({ type }: { type: string }) => type === 'step';

describe(`training killed at ${kills} random moments ends in the bits of a run that was left alone:`, () => {
  const data = {
    'sct-cifar10': async () => cifar10,
    'sct-imagenet64-s': async () => {
      const path = join(folder, 'imagenet64.zip');
      await writeEdmDataset(path, doubled(await loadCifar10(cifar10)));
      return path;
    },
  };
  it.each([
    ['cifar10', 'sct-cifar10'],
    ['imagenet64', 'sct-imagenet64-s'],
  ] as const)('%s', { timeout: 300_000 }, async (example, recipe) => {
    const argv = [recipe, '--data', await data[recipe](), '--init', 'random', '--config', configOf(example), '--out'];
    const [whole, killed] = [join(folder, `${example}-whole`), join(folder, `${example}-killed`)];
    expect(await train([...argv, whole])).toBe(0);
    const logged = readFileSync(join(whole, 'log.jsonl'), 'utf8').trim().split('\n');
    const times = logged.map((line) => JSON.parse(line) as { type: string; time: number }).filter(isStep);
    const millisecondsPerStep = (1000 * (times.at(-1)!.time - times[0]!.time)) / (times.length - 1);
    let hits = 0;
    for (const moment of uniformArray(key(20), 4 * kills)) {
      if (hits === kills) break;
      if ((await train([...argv, killed], 2 * millisecondsPerStep * moment)) === null) {
        hits++;
        continue;
      }
      // It came to its end before the moment did: another begins.
      expect(stateOf(killed)).toEqual(stateOf(whole));
      rmSync(killed, { recursive: true });
    }
    expect(hits).toBe(kills);
    expect(await train([...argv, killed])).toBe(0);
    expect(stateOf(killed)).toEqual(stateOf(whole));
  });
});
