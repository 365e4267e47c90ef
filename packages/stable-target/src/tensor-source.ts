import * as tf from '@tensorflow/tfjs-core';
import type { Source } from './source';

/** Samples that are a tensor [count, …]; a clone of it is kept. */
export function tensorSource(images: tf.Tensor, dims: number): Source {
  const flat = tf.keep(tf.tidy(() => tf.clone(tf.reshape(images, [-1, dims])))) as tf.Tensor2D;
  const mean = tf.keep(tf.mean(flat, 0)) as tf.Tensor1D;
  return {
    count: flat.shape[0],
    mean,
    rows: ({ begin, end }) =>
      tf.tidy(() => {
        const centred = tf.sub(tf.slice(flat, begin, end - begin), mean) as tf.Tensor2D;
        return tf.concat([centred, tf.sum(tf.square(centred), 1, true) as tf.Tensor2D, tf.ones([end - begin, 1])], 1);
      }),
    subset(members) {
      const own = tf.tidy(() => tf.gather(flat, tf.tensor1d(members, 'int32')));
      const source = tensorSource(own, dims);
      tf.dispose(own);
      return source;
    },
    free: () => tf.dispose([flat, mean]),
  };
}
