import { key } from '@cm/random';
import { type SampleOptions, sampleOneStep } from '@cm/samplers';
import * as tf from '@tensorflow/tfjs-core';

/** What both ways of sampling start from. */
export const samplingOptions = {
  shape: [16, 32, 32, 3],
  key: key(1),
  sigmaMax: 80,
} as const satisfies SampleOptions;

/** The noise, of variance 1, that samplers start from with these options. */
export function samplingNoise(): tf.Tensor4D {
  const model = (x: tf.Tensor4D) => tf.div(x, samplingOptions.sigmaMax) as tf.Tensor4D;
  return sampleOneStep(model, samplingOptions);
}
