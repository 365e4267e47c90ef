import { valueAndGrads } from '@cm/gradients';
import { key, normal } from '@cm/random';
import * as tf from '@tensorflow/tfjs-core';
import { useBackend } from '../../../bench/backend';
import { tableOf } from '../../../tools/testing/src/markdown';
import { type Edm2Size, edm2Denoiser, edm2Preset, initEdm2, normalizeWeights } from '../src';

// Time, and the largest sum of tensors at a time, of a student's forward and backward pass, with every block's activations kept or computed again.
// From the repository's root: npx tsx packages/edm2-unet/bench/recompute.bench.ts [size] [batch]

const [size = 'S', batch = '4'] = process.argv.slice(2);
const { about } = await useBackend('torch');
const config = edm2Preset(size as Edm2Size);
const params = initEdm2(config, key(0));
const { weights } = normalizeWeights(config, params);
tf.dispose(params);
const x = normal(key(1), [Number(batch), 64, 64, 3]) as tf.Tensor4D;
const t = tf.fill([Number(batch)], 1) as tf.Tensor1D;
const labels = tf.zeros([Number(batch)], 'int32');
const mebibytes = (bytes: number) => Math.round(bytes / 2 ** 20).toLocaleString('en-US');
const held = mebibytes(tf.memory().numBytes);

const table: Record<string, Record<string, string>> = {};
for (const [name, recompute] of [
  ['activations kept', false],
  ['`recompute: true`', true],
] as const) {
  const step = () => {
    const { value, grads } = valueAndGrads((given) => {
      const model = edm2Denoiser(config, given, { recompute });
      return tf.mean(tf.squaredDifference(model(x, t, labels), x)) as tf.Scalar;
    }, weights);
    value.dataSync();
    tf.dispose([value, grads]);
  };
  const { peakBytes } = await tf.profile(() => {
    step();
    return tf.scalar(0);
  });
  const start = performance.now();
  step();
  const seconds = ((performance.now() - start) / 1000).toPrecision(3);
  table[name] = { 'most tensors at once, MiB': mebibytes(peakBytes), seconds };
}
console.log(`${tableOf(`EDM2-${size}, ${batch} images; weights: ${held} MiB`, table)}\n\n${about}.`);
