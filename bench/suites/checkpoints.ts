import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FileTensor, toTensors, writeSafetensors, writeTorchStateDict } from '@cm/checkpoints';
import { openCheckpoint } from '@cm/checkpoints/node';
import * as tf from '@tensorflow/tfjs-core';
import { useBackend } from '../backend';
import { serve, timed } from '../serve';

const { about } = await useBackend('torch');
const folder = mkdtempSync(join(tmpdir(), 'bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const path = (name: string) => join(folder, name);

/** 64 tensors of 1024 × 1024 values. Not in this function's frame afterwards, so that they are freed. */
function write() {
  const tensors = Object.fromEntries(
    Array.from({ length: 64 }, (_, i): [string, FileTensor] => [
      `layer${i}.weight`,
      {
        dtype: 'F32',
        shape: [1024, 1024],
        data: new Uint8Array(new Float32Array(1024 * 1024).fill(i / 64).buffer),
      },
    ]),
  );
  writeFileSync(path('a.pt'), writeTorchStateDict(tensors));
  writeFileSync(path('a.safetensors'), writeSafetensors(tensors));
}

const found: Record<string, number> = {};

/** Every value of the file is read into a tensor, and summed. */
const summed = (name: string) =>
  timed(() => async () => {
    const opened = await openCheckpoint(path(name));
    found[name] = tf.tidy(() =>
      Object.values(toTensors(opened.tensors)).reduce((total, tensor) => total + tf.sum(tensor).dataSync()[0]!, 0),
    );
  });

const shapes = async () => {
  const { tensors } = await openCheckpoint(path('a.safetensors'));
  return Object.entries(tensors).map(([name, { shape }]) => [name, shape]);
};

write();
await serve(
  {
    'a PyTorch state dictionary, every value read': summed('a.pt'),
    'safetensors, every value read': summed('a.safetensors'),
    'safetensors, names and shapes': timed(() => shapes),
  },
  { about, check: () => Object.values(found) },
);
