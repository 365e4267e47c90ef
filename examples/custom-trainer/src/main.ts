import { referenceSet, stableTarget } from '@cm/stable-target'; // + stable target
import * as tf from '@tensorflow/tfjs';
import '@tensorflow/tfjs-backend-wasm';
import { loadDigits } from './digits.js';
import { denoise, lossWeight, unet } from './unet.js';

const STEPS = 50;
const BATCH = 32;
const COUNT = 4000;

await tf.setBackend('wasm');
const digits = loadDigits('train', COUNT);
const test = loadDigits('t10k', 256);
const references = referenceSet(digits); // + stable target

const model = unet();
const optimizer = tf.train.adam(5e-3);

/** The batch's clean images in [−1, 1], noise for them, and noise levels with a normal logarithm, all from `seed`. */
function draw({ images }: { images: Uint8Array }, rows: number[], seed: number) {
  const bytes = rows.flatMap((row) => Array.from(images.subarray(row * 64, (row + 1) * 64)));
  const x0 = tf.sub(tf.div(tf.tensor4d(bytes, [rows.length, 8, 8, 1]), 127.5), 1);
  const noise = tf.randomNormal(x0.shape, 0, 1, 'float32', seed);
  const t = tf.exp(tf.randomNormal([rows.length], 0, 1.2, 'float32', -seed)) as tf.Tensor1D;
  const level = tf.reshape(t, [-1, 1, 1, 1]);
  return { x0, noise, t, level, noisy: tf.add(x0, tf.mul(noise, level)) };
}

let loss = 0;
let variance = 0;
for (let step = 1; step <= STEPS; step++) {
  tf.tidy(() => {
    const rows = Array.from({ length: BATCH }, (_, i) => ((step - 1) * BATCH + i) % COUNT);
    const { x0, noise, t, level, noisy } = draw(digits, rows, step);
    let target: tf.Tensor = x0;
    target = stableTarget({ references, x0, noise, t, ownIndex: rows }).posteriorMean; // + stable target

    const cost = optimizer.minimize(
      () => tf.mean(tf.mul(tf.squaredDifference(denoise(model, noisy, level), target), lossWeight(level))) as tf.Scalar,
      true,
    );
    loss += cost!.dataSync()[0]! / 10;
    variance += tf.mean(tf.moments(target, 0).variance).dataSync()[0]! / 10;
  });
  if (step % 10 === 0) {
    console.log(`step ${step}  loss ${loss.toFixed(4)}  variance of the target ${variance.toFixed(4)}`);
    loss = variance = 0;
  }
}

const error = tf.tidy(() => {
  const rows = Array.from({ length: 256 }, (_, i) => i);
  const { x0, noisy, level } = draw(test, rows, 12345);
  return tf.mean(tf.mul(tf.squaredDifference(denoise(model, noisy, level), x0), lossWeight(level))).dataSync()[0]!;
});
console.log(`error on new digits ${error.toFixed(4)}  tensors ${tf.memory().numTensors}`);
