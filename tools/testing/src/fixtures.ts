import { readFileSync } from 'node:fs';

/** A tensor of a safetensors fixture. */
export interface FixtureTensor {
  readonly shape: number[];
  readonly data: Float32Array | Float64Array | Int32Array | Uint8Array | BigInt64Array;
}

/** A fixture file: `readFixture(new URL('fixtures/x.json', import.meta.url))`. */
export function readJsonFixture<T>(url: URL): T {
  return JSON.parse(readFileSync(url, 'utf8')) as T;
}

const arrays = {
  F32: Float32Array,
  F64: Float64Array,
  I32: Int32Array,
  U8: Uint8Array,
  I64: BigInt64Array,
} as const;

/** Reads a safetensors fixture: a minimal reader of the tests' own, so that no package's test rests on another package. */
export function readSafetensorsFixture(url: URL): {
  tensors: Record<string, FixtureTensor>;
  metadata: Record<string, string>;
} {
  const file = readFileSync(url);
  const headerBytes = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.subarray(8, 8 + headerBytes).toString('utf8')) as Record<
    string,
    { dtype: keyof typeof arrays; shape: number[]; data_offsets: [number, number] }
  >;
  const { __metadata__, ...entries } = header;
  const tensors: Record<string, FixtureTensor> = {};
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(entries)) {
    const bytes = new Uint8Array(file.subarray(8 + headerBytes + data_offsets[0], 8 + headerBytes + data_offsets[1]));
    tensors[name] = { shape, data: new arrays[dtype](bytes.buffer) };
  }
  return { tensors, metadata: (__metadata__ ?? {}) as unknown as Record<string, string> };
}
