import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toTensors } from '@cm/checkpoints';
import { readSafetensorsFile } from '@cm/checkpoints/node';
import { expectClose, expectNoLeak } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createTrainer, disposeState } from '../src';
import { saveSnapshots } from '../src/node';
import { run } from './tiny';

let folder: string;
beforeEach(async () => {
  await tf.setBackend('cpu');
  folder = mkdtempSync(join(tmpdir(), 'snapshots-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

it('every average is kept in float16 as it was then, half-way and at its best too', async () => {
  const { newState, ...options } = run();
  const fid: Record<number, number> = { 0: 9, 64: 2, 128: 3, 192: 4 };
  const trainer = createTrainer({
    ...options,
    state: newState(),
    evaluate: { every: 64, best: 'fid', run: async ({ images }) => ({ fid: fid[images]! }) },
    snapshot: {
      every: 128,
      run: (state, moment) => saveSnapshots(folder, state, moment, { metadata: { config: '{}' } }),
    },
  });
  const at: Record<number, Float32Array> = {};
  for await (const event of trainer) {
    if (event.type === 'step') at[event.images] = (await trainer.state.averages['0.050']!.in!.data()) as Float32Array;
  }
  trainer.dispose();
  const moments = ['000000000128', '000000000192', 'best', 'halfway'];
  expect(readdirSync(folder).sort()).toEqual(
    moments.flatMap((moment) => ['0.050', '0.100'].map((average) => `${moment}-${average}.safetensors`)),
  );
  for (const [moment, images] of [
    ['best', 64],
    ['halfway', 96],
    ['000000000128', 128],
  ] as const) {
    const { tensors, metadata } = await readSafetensorsFile(join(folder, `${moment}-0.050.safetensors`));
    expect(metadata).toEqual({ config: '{}', images: String(images), step: String(images / 8), average: '0.050' });
    expect(tensors.in!.dtype).toBe('F16');
    const read = toTensors(tensors);
    expectClose(read.in!, at[images]!, 2 ** -11);
    tf.dispose(read);
  }
});

it("a snapshot has the checkpoint's layout, and what was made for that is freed", async () => {
  const state = run().newState();
  const layout = (params: tf.NamedTensorMap) => ({
    'model.in': tf.transpose(params.in!),
    'model.out': tf.clone(params.out!),
  });
  await expectNoLeak(async () => void (await saveSnapshots(folder, state, 'regular', { layout })));
  const { tensors } = await readSafetensorsFile(join(folder, '000000000000-0.100.safetensors'));
  expect(tensors['model.in']!.shape).toEqual([8, 5]);
  await expect(saveSnapshots(folder, { ...state, averages: { '../x': state.params } }, 'regular')).rejects.toThrow(
    'named ../x',
  );
  disposeState(state);
});
