import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromTensors, writeSafetensors } from '@cm/checkpoints';
import { key, uniformArray } from '@cm/random';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { formulaParameters } from '../../packages/fid/test/inception-reference';

// The network of both sides, with parameters by formula, and 32 images.

await tf.setBackend('cpu');
const images = Uint8Array.from(uniformArray(key(1), 32 * 3 * 32 * 32), (u) => 256 * u);
const file = writeSafetensors({
  ...fromTensors(formulaParameters()),
  images: { dtype: 'U8', shape: [32, 3, 32, 32], data: images },
});
writeFileSync(join(process.argv[2]!, 'features.safetensors'), file);
