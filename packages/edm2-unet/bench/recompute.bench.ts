import { valueAndGrads } from '@cm/gradients';
import { key, normal } from '@cm/random';
import { configureTorch } from '@cm/torch';
import * as tf from '@tensorflow/tfjs-core';
import { type Edm2Size, edm2Denoiser, edm2Preset, initEdm2, normalizeWeights } from '../src';

// Memory and time of a student's forward and backward pass on the torch backend, with every block's activations kept or computed again.
// From the repository's root: npx tsx packages/edm2-unet/bench/recompute.bench.ts SIZE BATCH keep|recompute

const [size = 'XS', batch = '4', mode = 'keep'] = process.argv.slice(2);
await tf.setBackend('torch');
configureTorch({ device: 'cpu', threads: 2 });
const config = edm2Preset(size as Edm2Size);
const params = initEdm2(config, key(0));
const { weights } = normalizeWeights(config, params);
tf.dispose(params);
const x = normal(key(1), [Number(batch), 64, 64, 3]) as tf.Tensor4D;
const t = tf.fill([Number(batch)], 1) as tf.Tensor1D;
const labels = tf.zeros([Number(batch)], 'int32');
const held = tf.memory().numBytes;

const step = () => {
  const { value, grads } = valueAndGrads((given) => {
    const model = edm2Denoiser(config, given, { recompute: mode === 'recompute' });
    return tf.mean(tf.squaredDifference(model(x, t, labels), x)) as tf.Scalar;
  }, weights);
  const loss = value.dataSync()[0]!;
  tf.dispose([value, grads]);
  return loss;
};
const start = performance.now();
step();
const seconds = (performance.now() - start) / 1000;
const resident = process.resourceUsage().maxRSS / 1024;
const { peakBytes } = await tf.profile(() => {
  step();
  return tf.scalar(0);
});
const mebibytes = (bytes: number) => Math.round(bytes / 2 ** 20);
console.log({
  size,
  batch,
  mode,
  seconds,
  weights: mebibytes(held),
  peak: mebibytes(peakBytes),
  resident: Math.round(resident),
});
