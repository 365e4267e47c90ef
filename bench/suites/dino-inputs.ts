import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromTensors, writeSafetensors } from '@cm/checkpoints';
import { dinoV2Sizes } from '@cm/fid';
import { key, uniformArray } from '@cm/random';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { dinoParameters } from '../../packages/fid/test/dino-reference';

// The network of both sides, with parameters by formula and a position embedding for each of 16 × 16 patches, and 8 images.

await tf.setBackend('cpu');
const images = Uint8Array.from(uniformArray(key(1), 8 * 224 * 224 * 3), (u) => 256 * u);
const file = writeSafetensors({
  ...fromTensors(dinoParameters(dinoV2Sizes.vitb14, 16)),
  images: { dtype: 'U8', shape: [8, 224, 224, 3], data: images },
});
writeFileSync(join(process.argv[2]!, 'dino.safetensors'), file);
