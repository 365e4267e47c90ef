import * as tf from '@tensorflow/tfjs-core';
import { fused } from './fused';
import type { PackedRows } from './source';

/** Whether the current backend has a kernel that makes rows of bytes. */
export const readsBytes = (): boolean => tf.getKernel('ReferenceRows', tf.getBackend()) !== undefined;

/**
 * Samples as bytes v on the backend, and rows [x', |x'|², 1] from them, x' = v/127.5 + shift: by the fused kernel where the backend has it, a byte a value; else by tfjs's
 * operations, 4/3.
 *
 * @param shifts Of each value of a sample.
 */
export function packedRows(bytes: Uint8Array, shifts: Float64Array): PackedRows {
  return readsBytes() ? byKernel(bytes, shifts) : byOperations(bytes, shifts);
}

/** Bytes get to the kernel as a tensor of bool, whose values they are. */
function byKernel(bytes: Uint8Array, shifts: Float64Array): PackedRows {
  const dims = shifts.length;
  const inputs = {
    bytes: tf.keep(tf.tensor2d(bytes, [bytes.length / dims, dims], 'bool')),
    shift: tf.keep(tf.tensor1d(Float32Array.from(shifts))),
  };
  return {
    rows: () => fused('ReferenceRows', inputs)![0] as tf.Tensor2D,
    dispose: () => tf.dispose(inputs),
  };
}

/**
 * Three bytes to a float32 number: one of the sample's first third, 256 times one of the second, 65,536 times one of the last. Below 2²⁴ and by powers of two, all that
 * takes them apart is exact.
 */
function byOperations(bytes: Uint8Array, shifts: Float64Array): PackedRows {
  const dims = shifts.length;
  const third = Math.ceil(dims / 3);
  const count = bytes.length / dims;
  const codes = new Float32Array(count * third);
  const squares = new Float32Array(count);
  for (let sample = 0, from = 0; sample < count; sample++) {
    let square = 0;
    for (let d = 0; d < dims; d++, from++) {
      const part = Math.floor(d / third);
      codes[sample * third + d - part * third]! += bytes[from]! * 256 ** part;
      square += (bytes[from]! / 127.5 + shifts[d]!) ** 2;
    }
    squares[sample] = square;
  }
  const held = {
    codes: tf.keep(tf.tensor2d(codes, [count, third])),
    squares: tf.keep(tf.tensor2d(squares, [count, 1])),
    shift: tf.keep(tf.tensor1d(Float32Array.from(shifts))),
  };
  return {
    rows: () =>
      tf.tidy(() => {
        const high = tf.floor(tf.mul(held.codes, 2 ** -16));
        const rest = tf.sub(held.codes, tf.mul(high, 2 ** 16));
        const middle = tf.floor(tf.mul(rest, 2 ** -8));
        const low = tf.sub(rest, tf.mul(middle, 2 ** 8));
        const values = tf.slice2d(tf.concat([low, middle, high] as tf.Tensor2D[], 1), [0, 0], [count, dims]);
        const centred = tf.add(tf.mul(values, 1 / 127.5), held.shift) as tf.Tensor2D;
        return tf.concat([centred, held.squares, tf.ones([count, 1])], 1);
      }),
    dispose: () => tf.dispose(held),
  };
}
