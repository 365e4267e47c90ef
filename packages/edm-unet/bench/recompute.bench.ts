import '@cm/gradients';
import { valueAndGrads } from '@cm/gradients';
import { key, normal } from '@cm/random';
import * as tf from '@tensorflow/tfjs-core';
import { useBackend } from '../../../bench/backend';
import { tableOf } from '../../../tools/testing/src/markdown';
import { edmDenoiser, edmPresets, initEdm } from '../src';

// The largest sum of tensors at a time in a student's forward and backward pass of CIFAR-10's DDPM++, with every block's activations kept or
// computed again. From the repository's root: npx tsx packages/edm-unet/bench/recompute.bench.ts

const { about } = await useBackend('torch');
const config = { ...edmPresets['cifar10-uncond-ddpmpp'], dropout: 0.2 };
const params = initEdm(config, key(0));
const mebibytes = (bytes: number) => Math.round(bytes / 2 ** 20).toLocaleString('en-US');
const held = mebibytes(tf.memory().numBytes);

async function largest(images: number, recompute: boolean): Promise<string> {
  const x = normal(key(1), [images, 32, 32, 3]) as tf.Tensor4D;
  const t = tf.fill([images], 1) as tf.Tensor1D;
  const { peakBytes } = await tf.profile(() => {
    const { value, grads } = valueAndGrads((given) => {
      const model = edmDenoiser(config, given, { recompute, dropout: { key: key(2) } });
      return tf.mean(tf.squaredDifference(model(x, t), x)) as tf.Scalar;
    }, params);
    tf.dispose([value, grads]);
    return tf.scalar(0);
  });
  tf.dispose([x, t]);
  return mebibytes(peakBytes);
}

const table: Record<string, Record<string, string>> = {};
for (const images of [1, 2, 4]) {
  table[images] = {
    'activations kept, MiB': await largest(images, false),
    '`"recompute": true`, MiB': await largest(images, true),
  };
}
console.log(`${tableOf(`DDPM++: images; parameters: ${held} MiB`, table)}\n\n${about}.`);
