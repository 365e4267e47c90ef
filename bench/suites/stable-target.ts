import { type KeptAs, referenceSet, stableTarget } from '@cm/stable-target';
import * as tf from '@tensorflow/tfjs-core';
import { useBackend } from '../backend';
import { serve, timed } from '../serve';
import { batch, dims, referenceBytes, stableTargetInputs } from './stable-target-settings';

const { about, wait } = await useBackend(process.argv[2]!);
const { pattern, noise, t } = stableTargetInputs();
const found: number[] = [];

function target(count: number, keep: KeptAs) {
  const images = referenceBytes(pattern, count);
  const references = referenceSet({ images, shape: [count, dims], keep });
  const x0 = tf.tensor2d(
    Float32Array.from(images.subarray(0, batch * dims), (v) => v / 127.5 - 1),
    [batch, dims],
  );
  const ownIndex = Array.from({ length: batch }, (_, row) => row);
  let first = count === 5000;
  return async () => {
    const result = stableTarget({ references, x0, noise, t, ownIndex });
    const mean = await result.posteriorMean.data();
    // One value of every row.
    if (first) for (let row = 0; row < batch; row++) found.push(mean[row * dims + row]!);
    first = false;
    tf.dispose({ ...result });
    await wait();
  };
}

await serve(
  {
    '5,000 references': timed(() => target(5000, 'float32')),
    '50,000 references': timed(() => target(50_000, 'float32')),
    '50,000 references, kept as bytes': timed(() => target(50_000, 'none')),
  },
  { about, check: () => found },
);
