// Run by the Node that is being checked, beside the installed packages: imports every entry point named on the command line and prints what it
// found and a few numbers as JSON.
import '@cm/gradients';
import { key, normalArray } from '@cm/random';
import { referenceSet, stableTarget } from '@cm/stable-target';
import { setWasmBackend } from '@cm/wasm-kernels';
import * as tf from '@tensorflow/tfjs-core';

const names = {};
for (const entryPoint of process.argv.slice(2)) names[entryPoint] = Object.keys(await import(entryPoint)).sort();

await setWasmBackend();

const references = referenceSet({ images: Float32Array.of(1, -1), shape: [2, 1] });
const { posteriorMean } = stableTarget({
  references,
  x0: tf.ones([1, 1]),
  noise: tf.zeros([1, 1]),
  t: [1],
  ownIndex: [0],
});
const x = tf.ones([1, 8, 8, 3]);
const byFilter = tf.grad((filter) => tf.sum(tf.conv2d(x, filter, 1, 'same')))(tf.zeros([3, 3, 3, 16]));

console.log(
  JSON.stringify({
    node: process.versions.node,
    names,
    posteriorMean: posteriorMean.dataSync()[0],
    byFilter: byFilter.dataSync()[0],
    normal: Array.from(normalArray(key(42), 4)),
  }),
);
