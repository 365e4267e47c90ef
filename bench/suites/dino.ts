import { join } from 'node:path';
import { toTensors } from '@cm/checkpoints';
import { openCheckpoint } from '@cm/checkpoints/node';
import { dinoV2Extractor, prepareDinoV2 } from '@cm/fid';
import * as tf from '@tensorflow/tfjs-core';
import { useBackend } from '../backend';
import { serve, timed } from '../serve';

const { about } = await useBackend(process.argv[2]!);
const found: number[] = [];
await serve(
  {
    features: timed(async () => {
      const { tensors } = await openCheckpoint(join(process.env.BENCH_INPUTS!, 'dino.safetensors'));
      const { images: bytes, ...parameters } = toTensors(tensors);
      const extract = dinoV2Extractor(prepareDinoV2(parameters));
      const images = tf.tidy(() => tf.sub(tf.div(tf.cast(bytes!, 'float32'), 127.5), 1) as tf.Tensor4D);
      tf.dispose([parameters, bytes!]);
      return async () => {
        const features = extract(images);
        const values = await features.data();
        if (found.length === 0) found.push(...values.slice(0, 64));
        features.dispose();
      };
    }),
  },
  { about, check: () => found },
);
