/** Pickles spelt out for tests: instructions as bytes. */
export type Part = number | string | Uint8Array | readonly Part[];

/** Bytes of numbers, of text as ASCII, and of parts in order. */
export function bytesOfParts(...parts: Part[]): Uint8Array {
  const chunks = parts.map((part): Uint8Array => {
    if (typeof part === 'number') return Uint8Array.of(part);
    if (typeof part === 'string') return new TextEncoder().encode(part);
    return part instanceof Uint8Array ? part : bytesOfParts(...part);
  });
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** A pickle of protocol 4. */
export const pickle = (...parts: Part[]) => bytesOfParts(0x80, 4, ...parts, '.');

export const global = (module: string, name: string): Part => `c${module}\n${name}\n`;

/** Up to 255 bytes of text. */
export const text = (value: string): Part => [0x8c, new TextEncoder().encode(value).length, value];

export const int32 = (value: number): Uint8Array => new Uint8Array(Int32Array.of(value).buffer);
export const int64 = (value: number | bigint): Uint8Array => new Uint8Array(BigInt64Array.of(BigInt(value)).buffer);

const NONE = 'N';
const MARK = '(';

/** A PyTorch legacy file of one storage of `values` float32, its main pickle given: the storage's reference is put in for each STORAGE. */
export function legacy(main: (storage: Part) => Part, values: Float32Array, declared = values.length): Uint8Array {
  const reference: Part = [
    [MARK, text('storage'), global('torch', 'FloatStorage'), text('0'), text('cpu'), 'J', int32(declared), NONE, 't'],
    'Q',
  ];
  return bytesOfParts(
    [0x80, 2, 0x8a, 10, Uint8Array.of(0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19), '.'],
    [0x80, 2, 'M', 0xe9, 3, '.'],
    [0x80, 2, '}', text('little_endian'), 0x88, 's.'],
    [0x80, 2, main(reference), '.'],
    [0x80, 2, ']', text('0'), 'a.'],
    int64(values.length),
    new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  );
}

/** A tensor that views a storage. */
export const tensor = (storage: Part, offset: Part, shape: Part, strides: Part): Part => [
  global('torch._utils', '_rebuild_tensor_v2'),
  [MARK, storage, offset, shape, strides, 0x89, NONE, 't'],
  'R',
];
