import { join } from 'node:path';
import { toTensors } from '@cm/checkpoints';
import { openCheckpoint } from '@cm/checkpoints/node';
import { dinoV2Extractor, prepareDinoV2 } from '@cm/fid';
import * as tf from '@tensorflow/tfjs-core';
import { serveExtraction } from './extraction';

await serveExtraction(async () => {
  const { tensors } = await openCheckpoint(join(process.env.BENCH_INPUTS!, 'dino.safetensors'));
  const { images: bytes, ...parameters } = toTensors(tensors);
  const extract = dinoV2Extractor(prepareDinoV2(parameters));
  const images = tf.tidy(() => tf.sub(tf.div(tf.cast(bytes!, 'float32'), 127.5), 1) as tf.Tensor4D);
  tf.dispose([parameters, bytes!]);
  return { extract, images };
});
