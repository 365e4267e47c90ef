import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint, readSafetensorsFile, writeFileAtomically } from '@cm/checkpoints/node';
import { expectClose, onEveryBackend } from '@cm/testing';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  CheckpointError,
  fromFloat32,
  fromTensors,
  readSafetensors,
  toFloat32,
  toTensors,
  writeSafetensors,
} from '../src';

const byte = (value: number) => ({ dtype: 'U8', shape: [1], data: Uint8Array.of(value) }) as const;

const file = (header: string | object, body = new Uint8Array(0)) => {
  const text = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + body.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(body, 8 + text.length);
  return bytes;
};
const f32 = (begin: number, end: number, shape: unknown = [(end - begin) / 4]) => ({
  dtype: 'F32',
  shape,
  data_offsets: [begin, end],
});

describe('a safetensors file', () => {
  it('comes back as it was written, in the same bytes each time', () => {
    const tensors = {
      'b.weight': {
        dtype: 'F32' as const,
        shape: [2, 3],
        data: fromFloat32(Float32Array.of(1, -2, 3.5, 0, 1e-40, 7), 'F32'),
      },
      a: { dtype: 'U8' as const, shape: [3], data: Uint8Array.of(1, 2, 255) },
      scalar: { dtype: 'I64' as const, shape: [], data: new Uint8Array(8) },
      empty: { dtype: 'F16' as const, shape: [0, 4], data: new Uint8Array(0) },
    };
    const bytes = writeSafetensors(tensors, { step: '3', note: '✓ "quoted"' });
    const { tensors: read, metadata } = readSafetensors(bytes);
    expect(metadata).toEqual({ step: '3', note: '✓ "quoted"' });
    for (const [name, tensor] of Object.entries(tensors)) {
      expect(read[name]!.shape).toEqual(tensor.shape);
      expect(Array.from(read[name]!.data)).toEqual(Array.from(tensor.data));
    }
    expect(
      writeSafetensors(Object.fromEntries(Object.entries(tensors).reverse()), { note: '✓ "quoted"', step: '3' }),
    ).toEqual(bytes);
  });

  const wrong: [string, Uint8Array, RegExp][] = [
    ['is too short', new Uint8Array(7), /7 bytes, expected 8/],
    ['has a header longer than itself', new Uint8Array([255, 0, 0, 0, 0, 0, 0, 0, 0x7b]), /255 bytes, the file has 1/],
    ['has a header beyond 2^53', new Uint8Array(16).fill(255), /header is said/],
    ['is not JSON', file('{nope'), /not JSON/],
    ['is not a map', file('[1]'), /begin with \{/],
    ['is not UTF-8', file('{"a":"\u0000"}').map((b, i) => (i === 13 ? 0xff : b)), /not UTF-8/],
    ['names a tensor twice', file(`{"a":${JSON.stringify(f32(0, 0))},"a":${JSON.stringify(f32(0, 0))}}`), /"a" twice/],
    ['has an unknown type', file({ a: { ...f32(0, 0), dtype: '__proto__' } }), /dtype "__proto__"/],
    ['has a negative extent', file({ a: f32(0, 4, [-1]) }, new Uint8Array(4)), /shape \[-1\]/],
    ['has an overflowing shape', file({ a: f32(0, 4, Array(30).fill(2 ** 40)) }, new Uint8Array(4)), /expected/],
    ['has another size than its shape', file({ a: f32(0, 4, [2]) }, new Uint8Array(4)), /4 bytes, expected 8/],
    ['reaches beyond the file', file({ a: f32(0, 8) }, new Uint8Array(4)), /ends at 8 of 4/],
    ['has overlapping tensors', file({ a: f32(0, 4), b: f32(0, 4) }, new Uint8Array(4)), /begins at 0, expected 4/],
    ['has a hole', file({ a: f32(4, 8) }, new Uint8Array(8)), /begins at 4, expected 0/],
    ['has trailing bytes', file({ a: f32(0, 4) }, new Uint8Array(5)), /1 bytes follow/],
    ['has metadata that are not strings', file({ __metadata__: { a: 1 } }), /not a map of strings/],
  ];
  it.each(wrong)('that %s is refused, with the reason', (_, bytes, reason) => {
    expect(() => readSafetensors(bytes)).toThrow(CheckpointError);
    expect(() => readSafetensors(bytes)).toThrow(reason);
  });

  it('mutated in any way is read or refused, and nothing else happens', () => {
    const seed = writeSafetensors(fromTensorsLike({ w: Float32Array.of(1, 2, 3, 4), longer: Float32Array.of(5, 6) }), {
      config: '{"a":1}',
    });
    const outcomes = { read: 0, refused: 0 };
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(seed.length - 1), fc.nat(255)), { maxLength: 6 }),
        fc.nat(seed.length),
        (edits, cut) => {
          const bytes = seed.slice(0, edits.length % 2 ? seed.length : cut);
          for (const [at, value] of edits) if (at < bytes.length) bytes[at] = value;
          try {
            readSafetensors(bytes);
            outcomes.read++;
          } catch (error) {
            if (!(error instanceof CheckpointError)) throw error;
            outcomes.refused++;
          }
        },
      ),
      { numRuns: 5000 },
    );
    expect(outcomes.read).toBeGreaterThan(0);
    expect(outcomes.refused).toBeGreaterThan(0);
  });
});

const fromTensorsLike = (values: Record<string, Float32Array>) =>
  Object.fromEntries(
    Object.entries(values).map(([name, data]) => [
      name,
      { dtype: 'F32' as const, shape: [data.length], data: fromFloat32(data, 'F32') },
    ]),
  );

describe('sixteen-bit floats', () => {
  it('of every bit pattern come back as the same bits', () => {
    for (const dtype of ['F16', 'BF16'] as const) {
      const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
      const values = toFloat32(new Uint8Array(bits.buffer), dtype);
      const back = new Uint16Array(fromFloat32(values, dtype).buffer);
      bits.forEach((pattern, i) => {
        if (!Number.isNaN(values[i])) expect(back[i]).toBe(pattern);
      });
    }
  });

  it('round to nearest, ties to even, and overflow to infinity', () => {
    const half = (value: number) => toFloat32(fromFloat32(Float32Array.of(value), 'F16'), 'F16')[0];
    expect(half(2049)).toBe(2048);
    expect(half(2051)).toBe(2052);
    expect(half(65519)).toBe(65504);
    expect(half(65520)).toBe(Number.POSITIVE_INFINITY);
    expect(half(2 ** -25)).toBe(0);
    expect(half(1.5 * 2 ** -24)).toBe(2 ** -23);
    expect(half(0.1)).toBeCloseTo(0.0999756, 7);
    const brain = (value: number) => toFloat32(fromFloat32(Float32Array.of(value), 'BF16'), 'BF16')[0];
    expect(brain(257)).toBe(256);
    expect(brain(259)).toBe(260);
  });
});

onEveryBackend(() => {
  it('tensors go to a file and back', () => {
    const tensors = {
      f: tf.tensor2d([[1, 2.5]]),
      i: tf.tensor1d([-3, 7], 'int32'),
      b: tf.tensor1d([1, 0], 'bool'),
      s: tf.scalar(4),
    };
    const back = toTensors(readSafetensors(writeSafetensors(fromTensors(tensors))).tensors);
    for (const [name, tensor] of Object.entries(tensors)) {
      expect(back[name]!.shape).toEqual(tensor.shape);
      expect(back[name]!.dtype).toBe(tensor.dtype);
      expectClose(back[name]!, tensor, 0);
    }
    expect(() => toTensors({ big: { dtype: 'I64', shape: [1], data: Uint8Array.of(0, 0, 0, 0, 1, 0, 0, 0) } })).toThrow(
      'beyond int32',
    );
  });
});

describe('a file on disk', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'checkpoints-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('is replaced whole, and nothing is left aside', async () => {
    const path = join(folder, 'a');
    await writeFileAtomically(path, Uint8Array.of(1));
    await writeFileAtomically(path, Uint8Array.of(2, 3));
    expect([...readFileSync(path)]).toEqual([2, 3]);
    await expect(writeFileAtomically(join(folder, 'nowhere', 'b'), Uint8Array.of(1))).rejects.toThrow('ENOENT');
    expect(readdirSync(folder)).toEqual(['a']);
  });

  it('that is corrupt is named', async () => {
    const path = join(folder, 'corrupt.safetensors');
    writeFileSync(path, 'not a model');
    await expect(readSafetensorsFile(path)).rejects.toThrow(
      /corrupt\.safetensors is not a safetensors file: header is said/,
    );
  });

  it('is read tensor by tensor, when its bytes are asked for', async () => {
    const path = join(folder, 'lazy.safetensors');
    const bytes = writeSafetensors(
      { a: { dtype: 'F32', shape: [2], data: new Uint8Array(Float32Array.of(1, 2).buffer) }, b: byte(3) },
      { step: '5' },
    );
    writeFileSync(path, bytes);
    const { format, tensors, metadata } = await openCheckpoint(path);
    expect(format).toBe('safetensors');
    expect({ ...metadata }).toEqual({ step: '5' });
    expect(Object.keys(tensors)).toEqual(Object.keys(readSafetensors(bytes).tensors));
    expect(Array.from(toFloat32(tensors.a!.data, 'F32'))).toEqual([1, 2]);
    expect(writeSafetensors(tensors, { step: '5' })).toEqual(bytes);

    // What has another length, or was written later, is another file.
    await writeFileAtomically(path, writeSafetensors({ a: byte(1), b: byte(4) }, { step: '5' }));
    expect(() => tensors.b!.data).toThrow(/lazy\.safetensors: is another file than when it was opened/);
    rmSync(path);
    expect(() => tensors.b!.data).toThrow(/ENOENT/);
  });

  it('of which the header is damaged is refused when it is opened', async () => {
    const path = join(folder, 'damaged.safetensors');
    const header = { a: { dtype: 'U8', shape: [2], data_offsets: [0, 2] } };
    writeFileSync(path, file(header, new Uint8Array(1)));
    await expect(openCheckpoint(path)).rejects.toThrow(/damaged\.safetensors: tensor "a" ends at 2 of 1 bytes/);
    writeFileSync(path, file(header, new Uint8Array(3)));
    await expect(openCheckpoint(path)).rejects.toThrow(/damaged\.safetensors: 1 bytes follow the last tensor/);
  });
});
