import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onEveryBackend, runReadmeExamples } from '@cm/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { CheckpointTensor } from '../src';

const home = process.cwd();
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'checkpoints-'));
  const snapshot = fileURLToPath(new URL('fixtures/edm2-snapshot.pkl', import.meta.url));
  copyFileSync(snapshot, join(folder, 'edm2-img64-s.pkl'));
  process.chdir(folder);
});
afterAll(() => {
  process.chdir(home);
  rmSync(folder, { recursive: true });
});

onEveryBackend(() => {
  it("runs the README's examples", async () => {
    const printed = await runReadmeExamples(new URL('../README.md', import.meta.url));
    const [[tensor], [className, kwargs], [dataset], [shape], ...written] = printed as [
      unknown[],
      unknown[],
      unknown[],
      unknown[],
    ];
    const { dtype, shape: fileShape } = tensor as CheckpointTensor;
    expect([dtype, fileShape]).toEqual(['F16', [3, 8, 3, 3]]);
    expect(className).toBe('Precond');
    expect(kwargs).toMatchObject({ label_dim: 4, use_fp16: true });
    expect(dataset).toMatchObject({ use_labels: true });
    expect(shape).toEqual([16, 8]);
    expect(written).toEqual([['300'], ['torch-zip'], [[2]], [Float32Array.of(1, 2), '300']]);
  });
});
