import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FileTensor, toFloat32, writeSafetensors, writeTorchStateDict } from '@cm/checkpoints';
import { openCheckpoint } from '@cm/checkpoints/node';
import { serve, timed } from '../serve';

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
          const { tensors } = await openCheckpoint(path);
          let sum = 0;
          for (const { data, dtype } of Object.values(tensors))
            for (const value of toFloat32(data, dtype)) sum += value;
          return sum;
        };
      }),
    ]),
  ),
);
