import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromTensors, writeNpz, writeTorchStateDict } from '@cm/checkpoints';
import { prepareDinoV2, readStatistics } from '@cm/fid';
import { expectClose, type FixtureTensor } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { dinoParameters, reference as dinoReference } from '../../fid/test/dino-reference';
import { formulaParameters, reference } from '../../fid/test/inception-reference';
import { stats } from '../src';
import { useBackend } from '../src/backend';

// A DINOv2 of two blocks stands for ViT-B/14.
vi.mock('@cm/fid/node', async (original) => ({
  ...(await original<typeof import('@cm/fid/node')>()),
  loadDinoV2: async () => {
    const parameters = dinoParameters();
    const weights = prepareDinoV2(parameters);
    tf.dispose(parameters);
    return weights;
  },
}));

let folder: string;
const at = (name: string) => join(folder, name);
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cli-network-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const meanOf = ({ shape, data }: FixtureTensor) => {
  const [rows, size] = shape as [number, number];
  const values = data as Float32Array;
  return Float64Array.from({ length: size }, (_, j) => {
    let sum = 0;
    for (let i = 0; i < rows; i++) sum += values[i * size + j]!;
    return sum / rows;
  });
};

describe('cm stats', () => {
  it('of Inception-v3 with formula weights from a file has the mean of torch-fidelity’s features', async () => {
    await useBackend(undefined, 1);
    const parameters = formulaParameters();
    const bytes = writeTorchStateDict(fromTensors(parameters));
    writeFileSync(at('weights.pth'), bytes);
    const { data, shape } = reference.tensors.images!;
    const images = tf.tidy(() => {
      const planes = tf.tensor4d(Float32Array.from(data as Uint8Array), shape as [number, number, number, number]);
      return Uint8Array.from(tf.transpose(planes, [0, 2, 3, 1]).dataSync());
    });
    tf.dispose(parameters);
    const [count, channels, height, width] = shape as [number, number, number, number];
    writeFileSync(
      at('images.npz'),
      writeNpz({ arr_0: { dtype: 'U8', shape: [count, height, width, channels], data: images } }),
    );
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    expect(await stats(at('images.npz'), at('out.npz'), { weights: at('weights.pth'), sha256, threads: 1 })).toBe(
      count,
    );
    const { mean } = readStatistics(new Uint8Array(readFileSync(at('out.npz'))));
    expectClose(mean, meanOf(reference.tensors['features.2048']!), 1e-4);
    await expect(stats(at('images.npz'), at('out.npz'), { weights: at('weights.pth') })).rejects.toThrow('has SHA-256');
  });

  it.each(['legacy', 'clean'] as const)('of DINOv2, %s, has the mean of PyTorch’s features', async (resize) => {
    const { data, shape } = dinoReference.tensors.images!;
    writeFileSync(at('images.npz'), writeNpz({ arr_0: { dtype: 'U8', shape, data: data as Uint8Array } }));
    expect(await stats(at('images.npz'), at('out.npz'), { features: 'dinov2-b', resize, threads: 1 })).toBe(2);
    const { mean } = readStatistics(new Uint8Array(readFileSync(at('out.npz'))));
    expectClose(mean, meanOf(dinoReference.tensors[`features.${resize}`]!), 1e-4);
  });
});
