import { join } from 'node:path';
import { matchTensors, toTensors } from '@cm/checkpoints';
import { openCheckpoint } from '@cm/checkpoints/node';
import { foldInception, inceptionExtractor, inceptionParameterShapes } from '@cm/fid';
import * as tf from '@tensorflow/tfjs-core';
import { serveExtraction } from './extraction';

await serveExtraction(async () => {
  const { tensors } = await openCheckpoint(join(process.env.BENCH_INPUTS!, 'features.safetensors'));
  const { images: bytes, ...weights } = tensors;
  const extract = inceptionExtractor(foldInception(toTensors(matchTensors(weights, inceptionParameterShapes))));
  const images = tf.tidy(() => {
    const pixels = tf.transpose(toTensors({ bytes: bytes! }).bytes!, [0, 2, 3, 1]);
    return tf.sub(tf.div(tf.cast(pixels, 'float32'), 127.5), 1) as tf.Tensor4D;
  });
  return { extract, images };
});
