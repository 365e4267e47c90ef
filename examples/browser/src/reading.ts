import { readSafetensors, toTensors } from '@cm/checkpoints';
import * as tf from '@tensorflow/tfjs-core';
import { classifierLogits } from '../../quickstart/src/classifier';

/** Names the digit in an image, for those who do not see it, by the classifier of the quickstart. */
export interface Reader {
  /** `a 3`, or `a 3 or an 8` where it is not sure. */
  read(values: Float32Array, imageShape: readonly [number, number, number]): Promise<string>;
  dispose(): void;
}

/** Makes the reader of its file, on the current backend. */
export function loadReader(file: Uint8Array): Reader {
  const params = toTensors(readSafetensors(file).tensors);
  return {
    async read(values, imageShape) {
      const probabilities = tf.tidy(() =>
        tf.softmax(classifierLogits(params, tf.tensor4d(values, [1, ...imageShape]))),
      );
      const ranked = Array.from(await probabilities.data(), (p, digit) => ({ p, digit })).sort((a, b) => b.p - a.p);
      probabilities.dispose();
      const [first, second] = ranked.map(({ digit }) => (digit === 8 ? 'an 8' : `a ${digit}`));
      return ranked[0]!.p > 0.7 ? first! : `${first} or ${second}`;
    },
    dispose: () => tf.dispose(params),
  };
}
