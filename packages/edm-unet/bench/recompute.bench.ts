import '@cm/gradients';
import { valueAndGrads } from '@cm/gradients';
import { key, normal } from '@cm/random';
import * as tf from '@tensorflow/tfjs-core';
import { useBackend } from '../../../bench/backend';
import { edmDenoiser, edmPresets, initEdm } from '../src';

// The largest sum of tensors at a time in a student's forward and backward pass of CIFAR-10's DDPM++, with every block's activations kept or
// computed again. From the repository's root: npx tsx packages/edm-unet/bench/recompute.bench.ts IMAGES keep|recompute

const [images = '2', mode = 'keep'] = process.argv.slice(2);
const { about } = await useBackend('torch');
const config = { ...edmPresets['cifar10-uncond-ddpmpp'], dropout: 0.2 };
const params = initEdm(config, key(0));
const x = normal(key(1), [Number(images), 32, 32, 3]) as tf.Tensor4D;
const t = tf.fill([Number(images)], 1) as tf.Tensor1D;
const held = tf.memory().numBytes;
const { peakBytes } = await tf.profile(() => {
  const { value, grads } = valueAndGrads((given) => {
    const model = edmDenoiser(config, given, { recompute: mode === 'recompute', dropout: { key: key(2) } });
    return tf.mean(tf.squaredDifference(model(x, t), x)) as tf.Scalar;
  }, params);
  tf.dispose([value, grads]);
  return tf.scalar(0);
});
const mebibytes = (bytes: number) => Math.round(bytes / 2 ** 20);
console.log({ about, images, mode, parameters: mebibytes(held), largest: mebibytes(peakBytes) });
