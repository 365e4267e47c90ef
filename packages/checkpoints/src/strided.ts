import { bytesOf, type DType } from './dtypes';
import { quote } from './error';
import { CheckpointTensor } from './values';

/** Memory that tensors are views of: a PyTorch storage, or a NumPy array's data. */
export interface Storage {
  readonly dtype: DType;
  /** Number of values. */
  readonly length: number;
  /** The bytes, little-endian, from `begin` to `end`. */
  read(begin: number, end: number): Uint8Array;
}

/**
 * A tensor that is a strided view of a storage: value [i, j, …] is the storage's value offset + i·strides[0] + j·strides[1] + ….
 * Nothing is read before the tensor's data is asked for; what is contiguous is then a view.
 *
 * @param fail Is called with the reason when the view is not inside the storage.
 */
export function stridedTensor(
  storage: Storage,
  offset: unknown,
  shape: unknown,
  strides: unknown,
  fail: (reason: string) => never,
): CheckpointTensor {
  if (!isSizes(shape)) return fail(`tensor has shape ${quote(shape)}`);
  if (!isSizes(strides) || strides.length !== shape.length) {
    return fail(`tensor of shape [${shape}] has strides ${quote(strides)}`);
  }
  if (!isSize(offset)) return fail(`tensor has offset ${quote(offset)}`);
  const count = sizeOf(shape);
  const last = shape.reduce((sum, extent, axis) => sum + (extent - 1) * strides[axis]!, offset);
  if (count > 0 ? !(last < storage.length) : !(offset <= storage.length)) {
    return fail(`tensor [${shape}] with strides [${strides}] from ${offset} reaches beyond ${storage.length} values`);
  }
  const width = bytesOf[storage.dtype];
  return new CheckpointTensor(storage.dtype, shape, () => {
    if (count === 0) return new Uint8Array(0);
    const bytes = storage.read(offset * width, (last + 1) * width);
    return isContiguous(shape, strides) ? bytes : gather(bytes, width, shape, strides, count);
  });
}

/** Strides of a row-major array. */
export function rowMajor(shape: readonly number[]): number[] {
  const strides = shape.map(() => 1);
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1]! * shape[axis + 1]!;
  return strides;
}

/** Number of values of a shape; ∞ where float64 overflows, which no file holds. */
export const sizeOf = (shape: readonly number[]) =>
  shape.includes(0) ? 0 : shape.reduce((product, extent) => product * extent, 1);

/** Whether something is a size: a whole number from 0 that float64 holds exactly. */
export const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** Whether something is a shape, of up to 64 axes. */
export const isSizes = (value: unknown): value is number[] =>
  Array.isArray(value) && value.length <= 64 && value.every(isSize);

function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  const expected = rowMajor(shape);
  return shape.every((extent, axis) => extent === 1 || strides[axis] === expected[axis]);
}

function gather(
  bytes: Uint8Array,
  width: number,
  shape: readonly number[],
  strides: readonly number[],
  count: number,
): Uint8Array {
  const result = new Uint8Array(count * width);
  const index = shape.map(() => 0);
  let from = 0;
  for (let to = 0; to < result.length; ) {
    for (let i = 0; i < width; i++) result[to++] = bytes[from + i]!;
    // The next index, last axis first: back to 0 where an axis is at its end.
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]! * width;
      if (++index[axis]! < shape[axis]!) break;
      from -= shape[axis]! * strides[axis]! * width;
      index[axis] = 0;
    }
  }
  return result;
}
