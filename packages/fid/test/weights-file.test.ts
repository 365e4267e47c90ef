import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromTensors, writeTorchStateDict } from '@cm/checkpoints';
import { expectClose, useWasm } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { foldInception } from '../src/index';
import { findDinoV2Weights, findInceptionWeights, loadDinoV2, loadInception } from '../src/node';
import { dinoParameters } from './dino-reference';
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
  await expect(loadDinoV2('vitl14')).rejects.toThrow(
    /download dinov2_vitl14_pretrain\.pth .*dinov2_vitl14_pretrain\.pth\) into .*cm, or give its path/,
  );
});

it('weights are found where PyTorch’s tools leave them, and only the published bytes are taken', async () => {
  const checkpoints = join(folder, 'torch', 'hub', 'checkpoints');
  mkdirSync(checkpoints, { recursive: true });
  const path = join(checkpoints, 'weights-inception-2015-12-05-6726825d.pth');
  writeFileSync(path, 'not them');
  expect(await findInceptionWeights()).toBe(path);
  await expect(loadInception()).rejects.toThrow(/has SHA-256 .* and 8 bytes, expected 6726825d0af5/);
  const dino = join(checkpoints, 'dinov2_vitb14_pretrain.pth');
  writeFileSync(dino, 'nor these');
  expect(await findDinoV2Weights('vitb14')).toBe(dino);
  await expect(loadDinoV2('vitb14')).rejects.toThrow(/has SHA-256 .* and 9 bytes, expected 0b8b82f85de9/);
});

it('a file of torch.save gives the folded weights, and nothing else is kept', async () => {
  await useWasm();
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

it('a file of DINOv2 in another size is refused', async () => {
  await useWasm();
  const parameters = dinoParameters({ width: 64, depth: 1 });
  const path = join(folder, 'small.pth');
  const bytes = writeTorchStateDict(fromTensors(parameters));
  tf.dispose(parameters);
  writeFileSync(path, bytes);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const before = tf.memory().numTensors;
  await expect(loadDinoV2('vitb14', { path, sha256 })).rejects.toThrow(
    'small.pth has cls_token of shape [1,1,64], expected [1,1,768] of vitb14',
  );
  expect(tf.memory().numTensors).toBe(before);
});
