import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromTensors, writeTorchStateDict } from '@cm/checkpoints';
import { expectClose } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { foldInception } from '../src/index';
import { findInceptionWeights, loadInception } from '../src/node';
import { formulaParameters } from './inception-reference';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fid-'));
  vi.stubEnv('CM_CACHE', join(folder, 'cm'));
  vi.stubEnv('TORCH_HOME', join(folder, 'torch'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

it('weights that are nowhere: the error says what to fetch and where to put it', async () => {
  await expect(loadInception()).rejects.toThrow(
    /download pt_inception-2015-12-05-6726825d\.pth .* into .*cm, or give its path/,
  );
});

it('weights are found where PyTorch’s tools leave them, and only the published bytes are taken', async () => {
  const checkpoints = join(folder, 'torch', 'hub', 'checkpoints');
  mkdirSync(checkpoints, { recursive: true });
  const path = join(checkpoints, 'weights-inception-2015-12-05-6726825d.pth');
  writeFileSync(path, 'not them');
  expect(await findInceptionWeights()).toBe(path);
  await expect(loadInception()).rejects.toThrow(/has SHA-256 .* and 8 bytes, expected 6726825d0af5/);
});

it('a file of torch.save gives the folded weights, and nothing else is kept', async () => {
  await tf.setBackend('cpu');
  const parameters = formulaParameters();
  const path = join(folder, 'weights.pth');
  const bytes = writeTorchStateDict(fromTensors(parameters));
  writeFileSync(path, bytes);
  const before = tf.memory().numTensors;
  const loaded = await loadInception({ path, sha256: createHash('sha256').update(bytes).digest('hex') });
  expect(tf.memory().numTensors - before).toBe(2 * 94 + 2);
  const folded = foldInception(parameters);
  for (const name of ['Conv2d_1a_3x3.filter', 'Mixed_7c.branch_pool.bias', 'fc.weight']) {
    expectClose(loaded.tensors[name]!, folded.tensors[name]!, 0);
  }
  tf.dispose([parameters, loaded.tensors, folded.tensors]);
});
