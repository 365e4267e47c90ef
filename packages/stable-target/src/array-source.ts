import * as tf from '@tensorflow/tfjs-core';
import { packedRows, readsBytes } from './packed-rows';
import type { Range, Source } from './source';

/**
 * Samples in an array, or some of them, which is not copied: bytes v, read as v/127.5 − 1, or float32 numbers.
 *
 * @param members Which samples, in order. Default: all.
 */
export function arraySource(images: Uint8Array | Float32Array, dims: number, members?: Int32Array): Source {
  const count = members?.length ?? images.length / dims;
  const [scale, zero] = images instanceof Uint8Array ? [1 / 127.5, -1] : [1, 0];
  const beginOf = (sample: number) => (members ? members[sample]! : sample) * dims;
  const means = meansOf();
  const mean = tf.keep(tf.tensor1d(means));
  // A value x is centred as scale·x + shift.
  const shifts = Float64Array.from(means, (mean) => zero - mean);

  function meansOf(): Float32Array {
    const sums = new Float64Array(dims);
    for (let sample = 0; sample < count; sample++) {
      for (let d = 0, from = beginOf(sample); d < dims; d++, from++) sums[d]! += images[from]!;
    }
    const means = Float32Array.from(sums, (sum) => (sum / count) * scale + zero);
    if (means.every(Number.isFinite)) return means;
    throw new Error('referenceSet: images has a value that is not finite');
  }

  /** The samples of a range, which are bytes, one after another. */
  function bytesOf({ begin, end }: Range): Uint8Array {
    const bytes = images as Uint8Array;
    if (!members) return bytes.subarray(begin * dims, end * dims);
    const gathered = new Uint8Array((end - begin) * dims);
    for (let sample = begin, to = 0; sample < end; sample++, to += dims) {
      const from = beginOf(sample);
      gathered.set(bytes.subarray(from, from + dims), to);
    }
    return gathered;
  }

  function matrixOf({ begin, end }: Range): Float32Array {
    const width = dims + 2;
    const matrix = new Float32Array((end - begin) * width);
    for (let sample = begin, to = 0; sample < end; sample++, to += width) {
      let square = 0;
      for (let d = 0, from = beginOf(sample); d < dims; d++, from++) {
        const centred = images[from]! * scale + shifts[d]!;
        matrix[to + d] = centred;
        square += centred * centred;
      }
      matrix[to + dims] = square;
      matrix[to + dims + 1] = 1;
    }
    return matrix;
  }

  const packed = (range: Range) => packedRows(bytesOf(range), shifts);
  return {
    count,
    mean,
    rows(range) {
      if (!(images instanceof Uint8Array && readsBytes())) {
        return tf.tensor2d(matrixOf(range), [range.end - range.begin, dims + 2]);
      }
      const bytes = packed(range);
      try {
        return bytes.rows();
      } finally {
        bytes.dispose();
      }
    },
    packed,
    subset: (some) => arraySource(images, dims, members ? some.map((sample) => members[sample]!) : some),
    free: () => tf.dispose(mean),
  };
}
