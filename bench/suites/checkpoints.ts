import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FileTensor, toTensors, writeSafetensors, writeTorchStateDict } from '@cm/checkpoints';
import { openCheckpoint } from '@cm/checkpoints/node';
import * as tf from '@tensorflow/tfjs-core';
import { useBackend } from '../backend';
import { serve, timed } from '../serve';

await useBackend('torch');
const folder = mkdtempSync(join(tmpdir(), 'bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

/** 64 tensors of 1024 × 1024 values. */
const tensors = Object.fromEntries(
  Array.from({ length: 64 }, (_, i): [string, FileTensor] => [
    `layer${i}.weight`,
    { dtype: 'F32', shape: [1024, 1024], data: new Uint8Array(4 * 1024 * 1024).fill(i) },
  ]),
);
const files = {
  'PyTorch state dictionary': ['a.pt', writeTorchStateDict],
  safetensors: ['a.safetensors', writeSafetensors],
} as const;

await serve(
  Object.fromEntries(
    Object.entries(files).map(([name, [file, write]]) => [
      name,
      timed(() => {
        const path = join(folder, file);
        writeFileSync(path, write(tensors));
        return async () => {
          const opened = toTensors((await openCheckpoint(path)).tensors);
          tf.dispose(opened);
        };
      }),
    ]),
  ),
);
