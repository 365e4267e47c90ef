import * as tf from '@tensorflow/tfjs-core';

/** Rows of numbers. */
export interface Rows {
  /** [count, size], row-major. */
  readonly values: Float32Array;
  readonly count: number;
  readonly size: number;
}

/** Products of rows `a0` … of one matrix with rows `b0` … of another: [rows, columns] row-major. */
export interface ProductBlock {
  readonly values: Float32Array;
  readonly a0: number;
  readonly b0: number;
  readonly rows: number;
  readonly columns: number;
}

/**
 * Inner products of all rows of `a` with all rows of `b`, in float32 on the current backend, block by block: the whole matrix, 10 GB for
 * 50,000 × 50,000, is never there.
 */
export async function* productBlocks(a: Rows, b: Rows, block = 1024): AsyncGenerator<ProductBlock> {
  const part = ({ values, count, size }: Rows, from: number) => {
    const rows = Math.min(block, count - from);
    return tf.tensor2d(values.subarray(from * size, (from + rows) * size), [rows, size]);
  };
  for (let a0 = 0; a0 < a.count; a0 += block) {
    const left = part(a, a0);
    try {
      for (let b0 = 0; b0 < b.count; b0 += block) {
        const right = part(b, b0);
        const product = tf.matMul(left, right, false, true);
        right.dispose();
        try {
          const [rows, columns] = product.shape as [number, number];
          yield { values: (await product.data()) as Float32Array, a0, b0, rows, columns };
        } finally {
          product.dispose();
        }
      }
    } finally {
      left.dispose();
    }
  }
}
