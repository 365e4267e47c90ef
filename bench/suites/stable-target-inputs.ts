import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromTensors, writeSafetensors } from '@cm/checkpoints';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { stableTargetInputs } from './stable-target-settings';

// What PyTorch's side takes: the pattern of bytes that references are made of, noise and noise levels.

await tf.setBackend('cpu');
const { pattern, noise, t } = stableTargetInputs();
const file = writeSafetensors({
  ...fromTensors({ noise, t: tf.tensor1d(t) }),
  pattern: { dtype: 'U8', shape: [pattern.length], data: pattern },
});
writeFileSync(join(process.argv[2]!, 'stable-target.safetensors'), file);
