import * as tf from '@tensorflow/tfjs-core';
import { fromFloat32, toFloat32 } from './dtypes';
import type { FileTensor } from './safetensors';

/**
 * Tensors of what a file has: floats of all widths become float32, integers int32, BOOL bool. The caller frees them.
 *
 * @throws Error naming a tensor whose integers int32 does not hold
 */
export function toTensors(file: Readonly<Record<string, FileTensor>>): tf.NamedTensorMap {
  return Object.fromEntries(
    Object.entries(file).map(([name, { dtype, shape, data }]) => {
      const values = toFloat32(data, dtype);
      if (dtype === 'BOOL') return [name, tf.tensor(Uint8Array.from(values), [...shape], 'bool')];
      if (!/^[IU]/.test(dtype)) return [name, tf.tensor(values, [...shape], 'float32')];
      return [name, tf.tensor(integers(name, dtype, data), [...shape], 'int32')];
    }),
  );
}

function integers(name: string, dtype: string, data: Uint8Array): Int32Array {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const width = Number(dtype.slice(1)) / 8;
  const signed = dtype.startsWith('I');
  return Int32Array.from({ length: data.byteLength / width }, (_, i) => {
    const at = i * width;
    let value: number;
    if (width === 8) value = Number(signed ? view.getBigInt64(at, true) : view.getBigUint64(at, true));
    else if (width === 4) value = signed ? view.getInt32(at, true) : view.getUint32(at, true);
    else if (width === 2) value = signed ? view.getInt16(at, true) : view.getUint16(at, true);
    else value = signed ? view.getInt8(at) : view.getUint8(at);
    if (value !== (value | 0)) throw new Error(`toTensors: ${name} holds ${value}, beyond int32`);
    return value;
  });
}

/** How {@link fromTensors} stores floats. */
export interface FromTensorsOptions {
  /** Type of floats in the file. Default 'F32', which is exact. */
  readonly dtype?: 'F32' | 'F16' | 'BF16';
}

/** What a file is to have, of tensors: float32 in the given type, int32 as I32, bool as BOOL. Reads from the backend. */
export function fromTensors(
  tensors: tf.NamedTensorMap,
  { dtype = 'F32' }: FromTensorsOptions = {},
): Record<string, FileTensor> {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]): [string, FileTensor] => {
      const { shape } = tensor;
      const values = tensor.dataSync();
      if (tensor.dtype === 'float32') return [name, { dtype, shape, data: fromFloat32(values as Float32Array, dtype) }];
      if (tensor.dtype === 'int32') {
        const copy = Int32Array.from(values);
        return [name, { dtype: 'I32', shape, data: new Uint8Array(copy.buffer) }];
      }
      if (tensor.dtype === 'bool') return [name, { dtype: 'BOOL', shape, data: Uint8Array.from(values) }];
      throw new Error(`fromTensors: ${name} is ${tensor.dtype}, expected float32, int32 or bool`);
    }),
  );
}
