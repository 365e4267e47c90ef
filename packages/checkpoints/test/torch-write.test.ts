import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openCheckpoint, writeTorchStateDict } from '../src';
import { fixture } from './files';

/** Runs a script with torch, where Python has it (`PYTHON` names another interpreter than python3). */
const python = (script: string, ...args: string[]) =>
  spawnSync(process.env.PYTHON ?? 'python3', ['-c', `import sys, torch\n${script}`, ...args], { encoding: 'utf8' });
const hasTorch = python('').status === 0;

describe('a state dictionary that is written', () => {
  const { uint16, ...source } = openCheckpoint(fixture('types.pt')).tensors;
  const bytes = writeTorchStateDict(source);

  it('is a PyTorch file with the same names, types, shapes and bits, in the same order', () => {
    const { format, root, tensors } = openCheckpoint(bytes);
    expect([format, root]).toEqual(['torch-zip', '']);
    expect(Object.keys(tensors)).toEqual(Object.keys(source));
    for (const [name, { dtype, shape, data }] of Object.entries(source)) {
      expect(tensors[name], name).toMatchObject({ dtype, shape });
      expect(new Uint8Array(tensors[name]!.data), name).toEqual(new Uint8Array(data));
    }
  });

  it('is the same each time, with storages at multiples of 64 bytes', () => {
    expect(writeTorchStateDict(source)).toEqual(bytes);
    for (const { data, shape } of Object.values(openCheckpoint(bytes).tensors)) {
      if (!shape.includes(0)) expect((data.byteOffset - bytes.byteOffset) % 64).toBe(0);
    }
  });

  it.skipIf(!hasTorch).each(['True', 'False'])(
    'is opened by PyTorch, and saved again with the same bits (zip: %s)',
    (zip) => {
      const folder = mkdtempSync(join(tmpdir(), 'torch-write-'));
      try {
        const [ours, theirs] = [join(folder, 'ours.pt'), join(folder, 'theirs.pt')];
        writeFileSync(ours, bytes);
        const script = `torch.save(torch.load(sys.argv[1], weights_only=True), sys.argv[2], _use_new_zipfile_serialization=${zip})`;
        expect(python(script, ours, theirs)).toMatchObject({ status: 0 });
        const { tensors } = openCheckpoint(readFileSync(theirs));
        expect(Object.keys(tensors)).toEqual(Object.keys(source));
        for (const [name, { dtype, shape, data }] of Object.entries(source)) {
          expect(tensors[name], name).toMatchObject({ dtype, shape });
          expect(new Uint8Array(tensors[name]!.data), name).toEqual(new Uint8Array(data));
        }
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  );

  it('refuses what PyTorch has no storage for, and what does not fit', () => {
    expect(() => writeTorchStateDict({ uint16: uint16! })).toThrow('uint16 is U16');
    expect(() => writeTorchStateDict({ a: { dtype: 'F32', shape: [2], data: new Uint8Array(4) } })).toThrow(
      'a has 4 bytes, expected 8 for F32 [2]',
    );
  });
});
