import type { ConsistencyModel } from '@cm/ect';
import type { Key } from '@cm/random';
import * as tf from '@tensorflow/tfjs-core';
import type { Batch } from './objective';

/** Weights as a network's operations take them, and the way back for gradients. */
export interface PreparedWeights {
  readonly weights: tf.NamedTensorMap;
  /** The gradient with respect to the parameters, from that with respect to `weights`. */
  pullback(gradients: tf.NamedTensorMap): tf.NamedTensorMap;
}

/** A network as a trainer sees it: functions of a flat map of parameters. */
export interface TrainableNetwork {
  /** What is done to the trained parameters before every step, never to an average: EDM2's `forceWeightNorm`. Returns new tensors. Default: nothing. */
  readonly constrain?: (params: tf.NamedTensorMap) => tf.NamedTensorMap;
  /** What is computed from parameters once a step, for all of its passes: EDM2's `normalizeWeights`. New tensors. Default: the parameters themselves. */
  readonly prepare?: (params: tf.NamedTensorMap) => PreparedWeights;
  /**
   * The denoiser D(x, t), differentiable in the weights. With a key it is for training, dropout masks being drawn from the key and each row's
   * place in the batch; without one it is for use.
   */
  readonly denoiser: (weights: tf.NamedTensorMap, dropout?: Key) => ConsistencyModel;
  /** The condition of a batch, first axis the batch's: {@link classLabels} for networks with classes. Default: none. */
  readonly condition?: (batch: Batch) => tf.Tensor;
}

/**
 * The class of each image as an int32 tensor [batch]: the condition of a network with classes.
 *
 * @throws Error when the batch has no labels
 */
export function classLabels({ labels }: Batch): tf.Tensor1D {
  if (!labels) throw new Error('classLabels: the batch has no labels, expected them for a network with classes');
  return tf.tensor1d(Int32Array.from(labels), 'int32');
}

/** {@link TrainableNetwork.prepare}, where a network has it. */
export function prepared({ prepare }: TrainableNetwork, params: tf.NamedTensorMap): PreparedWeights {
  return prepare?.(params) ?? { weights: params, pullback: (gradients) => gradients };
}

/** Runs `use` with the denoiser of some parameters, such as an average, without dropout; frees what was prepared for it. */
export async function withDenoiser<T>(
  network: TrainableNetwork,
  params: tf.NamedTensorMap,
  use: (model: ConsistencyModel) => T | Promise<T>,
): Promise<T> {
  const { weights } = prepared(network, params);
  try {
    return await use(network.denoiser(weights));
  } finally {
    if (weights !== params) tf.dispose(weights);
  }
}

/**
 * The same model, on at most `size` rows at a time: of passes without gradient, the memory of one part. Rows keep their places in the batch.
 *
 * @example
 * ```ts
 * import { inMicroBatches } from '@cm/trainer';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * const sizes: number[] = [];
 * const model = (x: tf.Tensor4D) => {
 *   sizes.push(x.shape[0]);
 *   return tf.mul(x, 0.5) as tf.Tensor4D; // yours
 * };
 * inMicroBatches(model, 4)(tf.zeros([10, 2, 2, 1]), tf.zeros([10]));
 * console.log(sizes); // [4, 4, 2]
 * ```
 */
export function inMicroBatches(model: ConsistencyModel, size: number): ConsistencyModel {
  return (x, t, condition, rows) => {
    const count = x.shape[0];
    if (count <= size) return model(x, t, condition, rows);
    const places = rows ?? Array.from({ length: count }, (_, row) => row);
    return tf.tidy(() => {
      const parts: tf.Tensor4D[] = [];
      for (let begin = 0; begin < count; begin += size) {
        const length = Math.min(size, count - begin);
        const part = <T extends tf.Tensor>(all: T) => tf.slice(all, begin, length);
        const own = Array.from({ length }, (_, i) => places[begin + i]!);
        parts.push(tf.tidy(() => model(part(x), part(t), condition && part(condition), own)));
      }
      return tf.concat(parts, 0);
    });
  };
}
