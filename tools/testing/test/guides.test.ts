import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isInstalled } from '@cm/torch';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { onEveryBackend, runReadmeExamples, useWasm } from '../src';

const root = new URL('../../../', import.meta.url);
/** Runs the code of a guide, beside this test, where all packages' imports resolve. */
const runGuide = (name: string) =>
  runReadmeExamples(new URL(`docs/guides/${name}.md`, root), new URL('.', import.meta.url));

const home = process.cwd();
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'guides-'));
  process.chdir(folder);
});
afterAll(() => {
  process.chdir(home);
  rmSync(folder, { recursive: true });
});

it('Getting started makes a one-step generator from nothing, and samples from a published file', async () => {
  // In place of NVIDIA's: a file of the same kind, of a tiny network.
  const snapshot = new URL('packages/checkpoints/test/fixtures/edm2-snapshot.pkl', root);
  copyFileSync(fileURLToPath(snapshot), 'edm2-img64-s-1073741-0.075.pkl');
  vi.stubEnv('FAST', '1');
  const printed = await runGuide('getting-started');
  vi.unstubAllEnvs();
  expect(printed).toHaveLength(4);
  const distances = printed.slice(0, 3).map(([, distance]) => distance as number);
  expect(distances.every((distance) => Number.isFinite(distance) && distance > 0)).toBe(true);
  expect(printed[3]).toEqual([[4, 8, 8, 3], 4]);
  expect(readFileSync('samples.zip').length).toBeGreaterThan(0);
});

onEveryBackend(() => {
  it('the README trains, and its loss falls', async () => {
    const [first, last] = (await runReadmeExamples(new URL('README.md', root), new URL('.', import.meta.url))) as [
      [number, number],
      [number, number],
    ];
    expect([first[0], last[0]]).toEqual([0, 49]);
    expect(last[1]).toBeLessThan(first[1]);
  });

  it('One objective, many methods computes the loss of every method', async () => {
    expect(await runGuide('one-objective-many-methods')).toEqual([[true]]);
  });

  it('Your own trainer says what its examples print', async () => {
    const [all, ofClass, ofBatch, exact, shape, consistency] = await runGuide('your-own-trainer');
    expect([all, ofClass, ofBatch]).toEqual([[[1, 1, 50, 198]], [[1, 1, 49, 99]], [[1, 1, 2, 4]]]);
    expect([exact, shape]).toEqual([[true], [[4, 8, 8, 3]]]);
    expect(consistency![0]).toBe(true);
    expect(consistency![1]).toMatchObject({ badRows: 0 });
  });
});

it('Backends starts libtorch where it is set up, WebAssembly elsewhere', async () => {
  const [[engine, backend], [shape]] = (await runGuide('backends')) as [[string, string], [number[]]];
  expect(engine.startsWith(isInstalled() ? 'torch' : 'wasm')).toBe(true);
  expect(backend).toBe(isInstalled() ? 'torch' : 'wasm');
  expect(shape).toEqual([3, 3, 8, 8]);
});

it('Evaluate finds the consistency model at the floor, and the diffusion model far above', async () => {
  await useWasm();
  const printed = await runGuide('evaluate');
  const [floor, one, other, diffusion, middle] = printed.map(([, value]) => value as number);
  expect(Math.max(one!, other!)).toBeLessThan(2 * floor!);
  expect(diffusion).toBeGreaterThan(50 * floor!);
  expect(middle).toBeGreaterThan(0.05);
});

it('Your own images makes a model that cm train takes, with the configuration that it shows', async () => {
  await useWasm();
  const [measured, shares, gaps, factors, ...steps] = (await runGuide('your-own-images')) as unknown[][];
  expect(measured![0]).toMatchObject({ sigmaData: expect.closeTo(0.577, 2), distance: expect.closeTo(11.2, 0) });
  expect(shares).toEqual(['0.06', '0.002']);
  expect(gaps![0]).toMatchObject([
    [1, expect.closeTo(0.5, 3)],
    expect.anything(),
    [expect.anything(), expect.closeTo(1 / 256, 5)],
  ]);
  expect(factors![0]).toBeCloseTo(4.8, 1);
  expect(steps).toHaveLength(2);

  const page = readFileSync(new URL('docs/guides/your-own-images.md', root), 'utf8');
  writeFileSync('mine.yaml', /```yaml\n([\s\S]*?)```/.exec(page)![1]!);
  const command = /^cm (train .* --dry-run)$/m.exec(page)![1]!;
  let [out, err] = ['', ''];
  const { run } = await import('@cm/cli');
  const status = await run(command.split(' '), {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  expect([status, err]).toEqual([0, '']);
  expect(out).toMatch(/posterior mean over all images/);
  expect(out).toMatch(/EDM2, 16 × 16 × 3/);
});
