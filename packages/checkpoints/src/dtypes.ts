/** Types of safetensors' values, and bytes of one value. */
export const bytesOf = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
} as const;

/** Name of a type of values. */
export type DType = keyof typeof bytesOf;

/**
 * The numbers behind 16-bit floats and other values that tfjs has no type for, as float32. Exact, but for F64 and integers beyond 2^24.
 * F32 that lies at a multiple of four bytes is not copied.
 *
 * @example
 * ```ts
 * import { toFloat32 } from '@cm/checkpoints';
 *
 * console.log(toFloat32(Uint8Array.of(0, 60, 0, 64), 'F16')); // [1, 2]
 * ```
 */
export function toFloat32(data: Uint8Array, dtype: DType): Float32Array {
  const length = data.byteLength / bytesOf[dtype];
  // Typed arrays begin at multiples of their width, a file's tensors do not.
  const { buffer, byteOffset }: Uint8Array = data.byteOffset % bytesOf[dtype] === 0 ? data : new Uint8Array(data);
  switch (dtype) {
    case 'F32':
      return new Float32Array(buffer, byteOffset, length);
    case 'F16':
      halves ??= Float32Array.from({ length: 65536 }, (_, bits) => halfToFloat(bits));
      return lookUp(halves, new Uint16Array(buffer, byteOffset, length));
    case 'BF16': {
      const bits = Uint32Array.from(new Uint16Array(buffer, byteOffset, length), (value) => value << 16);
      return new Float32Array(bits.buffer);
    }
    case 'BOOL':
      return Float32Array.from(data, (value) => Number(value !== 0));
    case 'I64':
      return integersToFloat(new BigInt64Array(buffer, byteOffset, length));
    case 'U64':
      return integersToFloat(new BigUint64Array(buffer, byteOffset, length));
    default:
      return Float32Array.from(new arrays[dtype](buffer as ArrayBuffer, byteOffset, length));
  }
}

const arrays = {
  F64: Float64Array,
  I32: Int32Array,
  I16: Int16Array,
  I8: Int8Array,
  U32: Uint32Array,
  U16: Uint16Array,
  U8: Uint8Array,
} as const;

/** Every half-precision value by its bits, made when first used. */
let halves: Float32Array | undefined;

function integersToFloat(integers: ArrayLike<bigint>): Float32Array {
  const values = new Float32Array(integers.length);
  for (let i = 0; i < values.length; i++) values[i] = Number(integers[i]);
  return values;
}

function lookUp(table: Float32Array, indices: Uint16Array): Float32Array {
  const values = new Float32Array(indices.length);
  for (let i = 0; i < values.length; i++) values[i] = table[indices[i]!]!;
  return values;
}

/** Bytes of float32 numbers in another type of floats, rounded to nearest, ties to even. */
export function fromFloat32(values: Float32Array, dtype: 'F32' | 'F16' | 'BF16'): Uint8Array {
  const bytes = new Uint8Array(values.length * bytesOf[dtype]);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < values.length; i++) {
    if (dtype === 'F32') view.setFloat32(4 * i, values[i]!, true);
    else view.setUint16(2 * i, dtype === 'F16' ? floatToHalf(values[i]!) : floatToBrain(values[i]!), true);
  }
  return bytes;
}

const scratch = new DataView(new ArrayBuffer(4));
const bitsOf = (value: number) => {
  scratch.setFloat32(0, value);
  return scratch.getUint32(0);
};

/** The number that the 16 bits of an IEEE half-precision value stand for. */
export function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The bits of the half-precision value nearest to a float32 number, ties to even; beyond the range ±∞. */
export function floatToHalf(value: number): number {
  const bits = bitsOf(value);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = Math.abs(value);
  if (Number.isNaN(value)) return sign | 0x7e00;
  if (magnitude >= 65520) return sign | 0x7c00;
  // Multiples of 2^-24 below 2^-14; above, eleven significant bits.
  const exponent = Math.max(((bits >>> 23) & 0xff) - 127, -14);
  const steps = roundToEven(magnitude / 2 ** (exponent - 10));
  return sign | (steps + ((exponent + 14) << 10));
}

const roundToEven = (x: number) => {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
};

function floatToBrain(value: number): number {
  const bits = bitsOf(value);
  if (Number.isNaN(value)) return (bits >>> 16) | 0x40;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}
