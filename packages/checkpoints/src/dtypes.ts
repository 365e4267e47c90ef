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

/** The numbers behind 16-bit floats and other values that tfjs has no type for, as float32. Exact, but for F64, I64 and U64. */
export function toFloat32(data: Uint8Array, dtype: DType): Float32Array {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const values = new Float32Array(data.byteLength / bytesOf[dtype]);
  if (dtype === 'F32' && data.byteOffset % 4 === 0)
    return new Float32Array(data.buffer, data.byteOffset, values.length);
  const read = readers[dtype];
  for (let i = 0; i < values.length; i++) values[i] = read(view, i * bytesOf[dtype]);
  return values;
}

const readers: Record<DType, (view: DataView, at: number) => number> = {
  F64: (view, at) => view.getFloat64(at, true),
  F32: (view, at) => view.getFloat32(at, true),
  F16: (view, at) => halfToFloat(view.getUint16(at, true)),
  BF16: (view, at) => brainToFloat(view.getUint16(at, true)),
  I64: (view, at) => Number(view.getBigInt64(at, true)),
  I32: (view, at) => view.getInt32(at, true),
  I16: (view, at) => view.getInt16(at, true),
  I8: (view, at) => view.getInt8(at),
  U64: (view, at) => Number(view.getBigUint64(at, true)),
  U32: (view, at) => view.getUint32(at, true),
  U16: (view, at) => view.getUint16(at, true),
  U8: (view, at) => view.getUint8(at),
  BOOL: (view, at) => Number(view.getUint8(at) !== 0),
};

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

const brainToFloat = (bits: number) => {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
};

function floatToBrain(value: number): number {
  const bits = bitsOf(value);
  if (Number.isNaN(value)) return (bits >>> 16) | 0x40;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}
