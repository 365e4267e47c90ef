import '@tensorflow/tfjs-backend-cpu';
import { key, normalArray } from '@cm/random';
import * as tf from '@tensorflow/tfjs-core';
import { serve, timed } from '../serve';

await tf.setBackend('cpu');
const count = 1e7;
const draw =
  process.argv[2] === 'tfjs'
    ? () => tf.randomNormal([count], 0, 1, 'float32', 1).dispose()
    : () => normalArray(key(0), count);
await serve({ 'ten million': timed(() => draw) });
